// The supervisor dies at chosen places, and the next one finds what the place has left.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <fstream>
#include <iterator>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

// A sandbox whose next supervisor dies at a place, once: from the beginning on, or when the trap is set.
class Trap {
public:
    enum class State : std::uint8_t { set, to_be_set };
    Trap(Sandbox& sandbox, const std::string& point, State state = State::set)
        : sandbox_(sandbox), file_(sandbox.path("trap")), snapped_(file_ + ".snapped") {
        if (state == State::set) set();
        how_ = sandbox.options();
        how_.environment.push_back("CANCELABLE_TEST_KILL_AT=" + point + "," + file_);
        how_.environment.push_back("CANCELABLE_SHIM=" + Sandbox::shim());
    }
    void set() const { sandbox_.write_file("trap", ""); }
    Child start(const Words& arguments) const {
        Words command{Sandbox::killable_program()};
        command.insert(command.end(), arguments.begin(), arguments.end());
        return Child::spawn(command, how_);
    }
    Finished run(const Words& arguments) const { return start(arguments).wait(); }
    bool has_snapped() const { return exists(snapped_); }

    // Until it is dead, so that nobody is connected to it any more.
    void await_death() const {
        wait_until("the trap to snap", [&] { return has_snapped(); });
        pid_t pid = 0;
        std::ifstream(snapped_) >> pid;
        REQUIRE(pid > 0);
        Witness({pid}).wait_until_gone();
    }

private:
    Sandbox& sandbox_;
    std::string file_;
    std::string snapped_;
    SpawnOptions how_;
};

// That the shim has taken the status of every process of its tree.
bool has_reaped_all(pid_t shim) {
    const std::string pid = std::to_string(shim);
    std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
    return std::string(std::istreambuf_iterator<char>(children), {}).empty();
}

}  // namespace

TEST_SUITE_BEGIN("kill points");

TEST_CASE("a command runs once and its status is known wherever its supervisor is killed") {
    for (const char* point : {"accepted", "bound", "launched", "before-reply", "over"}) {
        CAPTURE(point);
        Sandbox sandbox;
        const std::string books = sandbox.make_directory("books");
        const Trap trap(sandbox, point);
        const Words job{Sandbox::fixture("keeps_books"), books, "job", "ends", "7"};
        Words arguments{"run", "-n", "job"};
        SUBCASE("in the foreground") {
            arguments.emplace_back("--");
            arguments.insert(arguments.end(), job.begin(), job.end());
            const Finished finished = trap.run(arguments);
            CHECK_MESSAGE(finished.status == 7, finished.err);
        }
        SUBCASE("detached") {
            arguments.insert(arguments.end(), {"-d", "--"});
            arguments.insert(arguments.end(), job.begin(), job.end());
            const Finished finished = trap.run(arguments);
            REQUIRE_MESSAGE(finished.status == 0, finished.err);
            const std::string id = finished.out.substr(0, finished.out.find('\n'));
            CHECK(sandbox.run({"wait", id}).status == 7);
            CHECK(sandbox.show(id).at("name") == "job");
        }
        trap.await_death();  // Who waits is told of the end before the supervisor gets to "over".
        CHECK(exists(books + "/job.ended"));
        CHECK_FALSE(exists(books + "/job.again"));
    }
}

TEST_CASE("a command given to an idle shim runs once although its supervisor is killed then") {
    for (const auto& [point, stopped] :
         {std::pair("assigned", false), {"assigned", true}, {"bound", false}}) {
        CAPTURE(point);
        CAPTURE(stopped);
        Sandbox sandbox;
        const std::string books = sandbox.make_directory("books");
        const Trap trap(sandbox, point, Trap::State::to_be_set);
        REQUIRE(trap.run({"run", "true"}).status == 0);
        wait_until("an idle shim", [&] { return sandbox.idle_shims().size() == 1; });
        const Witness shim(sandbox.idle_shims());
        if (stopped) shim.signal(SIGSTOP);
        trap.set();
        Child client = trap.start(
            {"run", "-n", "job", "--", Sandbox::fixture("keeps_books"), books, "job", "ends", "7"});
        trap.await_death();
        if (stopped) {
            wait_until("the next one", [&] { return sandbox.list().size() == 1; });
            CHECK_FALSE(exists(books + "/job.began"));
            shim.signal(SIGCONT);
        }
        CHECK(client.wait().status == 7);
        CHECK(exists(books + "/job.ended"));
        CHECK_FALSE(exists(books + "/job.again"));
        // One that was assigned is taken over. One that was not is lost, and the client has asked for
        // another.
        const bool was_assigned = std::string(point) == "assigned";
        CHECK(sandbox.list({"--all", "job"}).size() == (was_assigned ? 1 : 2));
    }
}

TEST_CASE("an operation whose name an idle shim has got, and no more, has never begun") {
    Sandbox sandbox;
    const std::string books = sandbox.make_directory("books");
    const Trap trap(sandbox, "bound", Trap::State::to_be_set);
    REQUIRE(trap.run({"run", "true"}).status == 0);
    wait_until("an idle shim", [&] { return sandbox.idle_shims().size() == 1; });
    const Witness shim(sandbox.idle_shims());
    shim.signal(SIGSTOP);
    trap.set();
    Child client =
        trap.start({"run", "-n", "job", "--", Sandbox::fixture("keeps_books"), books, "job", "ends", "7"});
    trap.await_death();
    // As long as it is stopped, nobody knows how far it has come.
    wait_until("the next one", [&] { return sandbox.list().size() == 1; });
    shim.signal(SIGCONT);
    // A client that has asked the next supervisor by then waits for this operation, else for another one.
    const int status = client.wait().status;
    const bool asked_before = status == 125;
    CHECK((asked_before || status == 7));
    const Json all = sandbox.list({"--all", "job"});
    REQUIRE(all.size() == (asked_before ? 1 : 2));
    CHECK(all.front().at("status") == "lost");
    CHECK(all.front().at("error") == "its supervisor was killed before the command was started");
    CHECK(exists(books + "/job.began") != asked_before);
}

TEST_CASE("a supervisor that is killed while it takes over leaves everything to the next") {
    for (const char* point : {"adopting", "adopted", "recorded", "forgotten", "lost"}) {
        CAPTURE(point);
        Sandbox sandbox;
        const std::string books = sandbox.make_directory("books");
        Fifo up = sandbox.fifo();
        Fifo go = sandbox.fifo();
        const std::string running = sandbox.detach({"-n", "running", "--grace", "1h"}, {"sleep", "1000"});
        const std::string ended =
            sandbox.detach({"-n", "ended"}, {Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
        REQUIRE(up.wait_for_line() == "up");
        const std::vector<pid_t> shims = sandbox.shims();
        const std::string lost = sandbox.detach({"-n", "lost"}, {"sleep", "1000"});
        std::vector<pid_t> third = sandbox.shims();
        std::erase_if(third, [&](pid_t pid) { return std::ranges::find(shims, pid) != shims.end(); });
        REQUIRE(third.size() == 1);
        sandbox.kill_supervisor();
        Witness(third).signal(SIGKILL);
        go.go();
        wait_until("one shim", [&] { return sandbox.shims().size() == 1; });

        const Trap trap(sandbox, point);
        CHECK(trap.run({"wait", lost}).status == 125);
        trap.await_death();
        CHECK(sandbox.run({"wait", ended}).status == 7);
        CHECK(sandbox.run({"wait", lost}).status == 125);
        CHECK(sandbox.show(running).at("status") == "running");
        CHECK(sandbox.show(lost).at("status") == "lost");
        CHECK(sandbox.show(lost).at("name") == "lost");
        CHECK(sandbox.show(ended).at("exit").at("code") == 7);
        CHECK(sandbox.run({"cancel", running}).status == 0);
    }
}

TEST_CASE("ends whose transaction is broken off are all there, and counted once") {
    for (const std::string point : {"row-written", "before-commit", "after-commit"}) {
        CAPTURE(point);
        Sandbox sandbox;
        const Trap trap(sandbox, point, Trap::State::to_be_set);
        REQUIRE(trap.run({"supervisor", "start"}).status == 0);
        std::deque<Fifo> gates;
        std::vector<std::string> ids;
        for (int code = 1; code <= 6; ++code) {
            gates.push_back(sandbox.fifo());
            const std::string script =
                "read line < " + gates.back().path() + "; exit " + std::to_string(code);
            ids.push_back(sandbox.detach({}, {"sh", "-c", script}));
        }
        sandbox.wait_until_recorded();

        // It hears of all the ends at once, so that they go into one transaction.
        const Witness supervisor({sandbox.supervisor().value()});
        supervisor.signal(SIGSTOP);
        for (Fifo& gate : gates)
            gate.go();
        for (const pid_t shim : sandbox.shims())
            wait_until("a report of an end", [&] { return has_reaped_all(shim) && is_asleep(shim); });
        trap.set();
        supervisor.signal(SIGCONT);
        supervisor.wait_until_gone();
        REQUIRE(trap.has_snapped());

        for (std::size_t i = 0; i < ids.size(); ++i) {
            CHECK(sandbox.run({"wait", ids[i]}).status == static_cast<int>(i) + 1);
            CHECK(sandbox.show(ids[i]).at("exit").at("code") == i + 1);
        }
        // Once more from what the next one has written down.
        for (int supervisors = 0; supervisors < 2; ++supervisors) {
            CHECK(sandbox.list({"--all"}).size() == 6);
            const Json stats = sandbox.json({"stats", "--json"});
            CHECK(stats.at("total_operations") == 6);
            CHECK(stats.at("history_size") == 6);
            CHECK(stats.at("history_by_status") == Json{{"failed", 6}});
            CHECK(stats.at("active_operations") == 0);
            sandbox.kill_supervisor();
        }
    }
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
