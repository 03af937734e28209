// What a batch starts ahead: operations that begin when others end, whoever has heard of it.
#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

// Lines that note their number in `begun` and then wait for a word of their own fifo.
class Steps {
public:
    Steps(Sandbox& sandbox, std::size_t count) : sandbox_(sandbox) {
        sandbox.write_file("begun", "");
        std::string lines;
        for (std::size_t i = 1; i <= count; ++i) {
            gates_.push_back(sandbox.fifo());
            lines += line(i);
        }
        file_ = sandbox.write_file("lines", lines);
    }

    Words batch(Words more) const {
        Words words{"run", "--batch", file_, "-q"};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }

    std::string line(std::size_t number) const {
        return "echo " + std::to_string(number) + " >>" + sandbox_.path("begun") + "; read x <" +
               gates_.at(number - 1).path() + "\n";
    }

    // "1 2 3 "
    std::string begun() const {
        std::ifstream file(sandbox_.path("begun"));
        std::string all;
        for (std::string line; std::getline(file, line);)
            all += line + " ";
        return all;
    }
    void await_begun(const std::string& numbers) const {
        wait_until("these have begun: " + numbers, [&] { return begun() == numbers; });
    }

    // Until so many run, and have noted it, and so many wait.
    void await(std::size_t running, std::size_t pending) const {
        wait_until("some run and some wait", [&] {
            const Json live = sandbox_.list();
            return count(live, "running") == running && count(live, "pending") == pending &&
                   begun().size() >= 2 * (ended_ + running);
        });
    }

    void end(std::size_t number) {
        gates_.at(number - 1).go();
        ++ended_;
    }

private:
    static std::size_t count(const Json& operations, const std::string& status) {
        return static_cast<std::size_t>(std::ranges::count_if(
            operations, [&](const Json& operation) { return operation.at("status") == status; }));
    }

    Sandbox& sandbox_;
    std::vector<Fifo> gates_;
    std::size_t ended_ = 0;
    std::string file_;
};

std::string id_of(const Json& operations, std::size_t index) {
    return operations.at(index).at("id").dump();
}

}  // namespace

TEST_SUITE_BEGIN("batch ahead");

TEST_CASE("what is started ahead is pending until one that runs has ended, in the order of the input") {
    Sandbox sandbox;
    Steps steps(sandbox, 4);
    Child client = sandbox.start(steps.batch({"-j2"}));
    steps.await(2, 2);
    CHECK((steps.begun() == "1 2 " || steps.begun() == "2 1 "));
    steps.end(2);
    steps.await(2, 1);
    CHECK(steps.begun().ends_with("3 "));
    steps.end(3);
    steps.await(2, 0);
    CHECK(steps.begun().ends_with("3 4 "));
    steps.end(1);
    steps.end(4);
    CHECK(client.wait().status == 0);
}

TEST_CASE("one at a time means one at a time, one after the other") {
    Sandbox sandbox;
    constexpr int kLines = 150;
    std::string numbers;
    for (int i = 1; i <= kLines; ++i)
        numbers += std::to_string(i) + "\n";
    const std::string file = sandbox.write_file("lines", numbers);
    const std::string script = "mkdir alone && echo {} >>order && rmdir alone";
    sandbox.make_directory("room", 0700);
    SpawnOptions how = sandbox.options();
    const Finished finished = sandbox.run({"run", "--batch", file, "-q", "-j1", "--", "sh", "-c",
                                           "cd " + sandbox.path("room") + " && " + script},
                                          how);
    CHECK_MESSAGE(finished.status == 0, finished.err);
    std::ifstream order(sandbox.path("room") + "/order");
    CHECK(std::string(std::istreambuf_iterator<char>(order), {}) == numbers);
}

TEST_CASE("the next command begins although supervisor and client are away") {
    Sandbox sandbox;
    Steps steps(sandbox, 3);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 2);
    // Until it has heard that they are accepted, it stands in the line for them.
    wait_until("the client waits", [&] { return is_asleep(client.pid()); });
    client.signal(SIGSTOP);  // It would start another supervisor.
    sandbox.kill_supervisor();
    steps.end(1);
    steps.await_begun("1 2 ");
    steps.end(2);
    steps.await_begun("1 2 3 ");
    client.signal(SIGCONT);
    steps.end(3);
    const Finished finished = client.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(steps.begun() == "1 2 3 ");
    CHECK(sandbox.list({"--all", "--status", "completed"}).size() == 3);
}

TEST_CASE("a killed shim takes no slot with it") {
    Sandbox sandbox;
    Steps steps(sandbox, 3);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 2);
    const Json live = sandbox.list();
    const pid_t command = live.at(0).at("pid");
    const std::vector<pid_t> shims = sandbox.shims();
    const auto shim = std::ranges::find(shims, parent_of(command));
    REQUIRE(shim != shims.end());
    Witness({*shim}).signal(SIGKILL);
    steps.await_begun("1 2 ");
    steps.end(2);
    steps.await_begun("1 2 3 ");
    steps.end(3);
    CHECK(client.wait().status == 1);
    CHECK(sandbox.show(id_of(live, 0)).at("status") == "lost");
}

TEST_CASE("one that is cancelled before it has begun never begins, and those behind it do") {
    Sandbox sandbox;
    Steps steps(sandbox, 3);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 2);
    const std::string second = id_of(sandbox.list(), 1);
    CHECK(sandbox.run({"cancel", second}).status == 0);
    const Json cancelled = sandbox.show(second);
    CHECK(cancelled.at("status") == "cancelled");
    CHECK(cancelled.at("started_at").is_null());
    CHECK(cancelled.at("exit").is_null());
    CHECK(cancelled.at("error").is_null());
    steps.end(1);
    steps.await_begun("1 3 ");
    steps.end(3);
    CHECK(client.wait().status == 1);
}

TEST_CASE("one that is paused before it has begun lets others pass, and begins once it goes on") {
    Sandbox sandbox;
    Steps steps(sandbox, 3);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 2);
    const std::string second = id_of(sandbox.list(), 1);
    CHECK(sandbox.run({"pause", second}).status == 0);
    steps.end(1);
    steps.await_begun("1 3 ");
    CHECK(sandbox.run({"resume", second}).status == 0);
    steps.end(3);
    steps.await_begun("1 3 2 ");
    steps.end(2);
    CHECK(client.wait().status == 0);
}

TEST_CASE("an interrupted batch begins nothing of what it has started ahead") {
    Sandbox sandbox;
    Steps steps(sandbox, 4);
    Child client = sandbox.start({"run", "--batch", steps.batch({}).at(2), "-j1"});
    steps.await(1, 3);
    client.signal(SIGINT);
    const Finished finished = client.wait();
    CHECK(finished.status == 130);
    CHECK(steps.begun() == "1 ");
    CHECK_MESSAGE(finished.err.find("1 operation: 0 completed, 1 cancelled") != std::string::npos,
                  finished.err);
    CHECK(sandbox.strangers().empty());
    // Nor is an acceptance left, of what has not begun.
    wait_until("nothing but idle shims to be left", [&] {
        return std::ranges::all_of(std::filesystem::directory_iterator(sandbox.runtime_directory() + "/ops"),
                                   [](const auto& entry) { return entry.path().extension() == ".idle"; });
    });
}

TEST_CASE("nothing begins after an interrupt, not even what the client does not know to be accepted") {
    Sandbox sandbox;
    Steps steps(sandbox, 2);
    const Pipe input = make_pipe().value();
    const auto give = [&](const std::string& line) {
        REQUIRE(::write(input.write_end.get(), line.data(), line.size()) == std::ssize(line));
    };
    SpawnOptions how = sandbox.options();
    how.stdio[0] = input.read_end.get();
    Child client = sandbox.start({"run", "--batch", "-", "-q", "-j1"}, how);
    give(steps.line(1));
    steps.await(1, 0);
    const Witness supervisor({sandbox.supervisor().value()});
    supervisor.signal(SIGSTOP);
    give(steps.line(2));
    wait_until("the client to have asked", [&] { return is_asleep(client.pid()); });
    client.signal(SIGINT);
    wait_until("the client to have cancelled the first", [&] { return is_asleep(client.pid()); });
    client.signal(SIGSTOP);
    supervisor.signal(SIGCONT);
    wait_until("the first to have ended", [&] {
        const Json live = sandbox.list();
        return live.size() == 1 && live[0].at("status") == "pending";
    });
    for (const pid_t shim : sandbox.shims())
        wait_until("a shim to have done what it does", [&] { return is_asleep(shim); });
    client.signal(SIGCONT);
    CHECK(client.wait().status == 130);
    CHECK(steps.begun() == "1 ");
    CHECK(sandbox.list({"--all"}).at(1).at("started_at").is_null());
}

TEST_CASE("those that wait are cancelled before those whose end would be their beginning") {
    Sandbox sandbox;
    Steps steps(sandbox, 3);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 2);
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
    CHECK(client.wait().status == 3);
    CHECK(steps.begun() == "1 ");
    const Finished events = sandbox.run({"events", "--json", "--no-follow", "--kind", "cancel"});
    std::vector<std::uint64_t> order;
    for (std::istringstream lines(events.out); lines;) {
        std::string line;
        if (std::getline(lines, line)) order.push_back(Json::parse(line).at("id"));
    }
    CHECK(order == std::vector<std::uint64_t>{2, 3, 1});
}

TEST_CASE("one that goes from the middle of the line keeps nobody waiting") {
    Sandbox sandbox;
    Steps steps(sandbox, 4);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 3);
    CHECK(sandbox.run({"cancel", id_of(sandbox.list(), 2)}).status == 0);
    steps.await(1, 2);
    steps.end(1);
    steps.await(1, 1);
    for (const char next : steps.begun().substr(2, 1))
        steps.end(static_cast<std::size_t>(next - '0'));
    steps.await(1, 0);
    CHECK(steps.begun().size() == 6);
    steps.end(2);
    steps.end(4);
    CHECK(client.wait().status == 1);
}

TEST_CASE("one that waits is cancelled by the next supervisor too") {
    Sandbox sandbox;
    Steps steps(sandbox, 2);
    Child client = sandbox.start(steps.batch({"-j1"}));
    steps.await(1, 1);
    sandbox.kill_supervisor();
    steps.await(1, 1);
    CHECK(sandbox.run({"cancel", id_of(sandbox.list(), 1)}).status == 0);
    steps.end(1);
    CHECK(client.wait().status == 1);
    CHECK(steps.begun() == "1 ");
}

TEST_CASE("a batch that starts ahead gives way to its commands, which are as they would have been") {
    Sandbox sandbox;
    Steps steps(sandbox, 2);
    Child client = sandbox.start(steps.batch({"-j2"}));
    steps.await(2, 0);
    CHECK(::sched_getscheduler(client.pid()) == (SCHED_BATCH | SCHED_RESET_ON_FORK));
    const auto commands = sandbox.strangers();
    CHECK(commands.size() == 2);
    for (const pid_t command : commands)
        CHECK(::sched_getscheduler(command) == SCHED_OTHER);
    steps.end(1);
    steps.end(2);
    CHECK(client.wait().status == 0);
}

TEST_CASE("nothing is started ahead where the end of one decides on the next") {
    Sandbox sandbox;
    const std::string file = sandbox.write_file("lines", "false\necho second\n");
    const Finished finished = sandbox.run({"run", "--batch", file, "-q", "-j1", "--halt", "soon,fail=1"});
    CHECK(finished.status == 1);
    CHECK(finished.out == "");
    CHECK(sandbox.list({"--all"}).size() == 1);
}

TEST_CASE("each command is told a slot that is its own while it runs") {
    Sandbox sandbox;
    std::string lines;
    for (int i = 0; i < 20; ++i)
        lines += "x\n";
    const std::string file = sandbox.write_file("lines", lines);
    sandbox.make_directory("room", 0700);
    const std::string script = "cd " + sandbox.path("room") + " && mkdir {%} && rmdir {%} && echo {%}";
    const Finished finished =
        sandbox.run({"run", "--batch", file, "-q", "-j2", "--", "sh", "-c", script, "x{}"});
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(std::ranges::all_of(finished.out, [](char c) { return c == '1' || c == '2' || c == '\n'; }));
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
