// Pausing, resuming and signalling whole trees.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"

namespace cancelable::e2e {
namespace {

char state_of(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[512] = {};
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) return '?';
    const std::string_view seen(text);
    return seen[seen.rfind(')') + 2];
}

bool all_stopped(const std::vector<pid_t>& processes) {
    return std::ranges::all_of(processes, [](pid_t pid) { return state_of(pid) == 'T'; });
}

bool none_stopped(const std::vector<pid_t>& processes) {
    return std::ranges::none_of(processes, [](pid_t pid) { return state_of(pid) == 'T'; });
}

}  // namespace

TEST_SUITE_BEGIN("pause");

TEST_CASE("a pause stills the whole tree before it returns, and a resume continues it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("double_forks"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "paused");
    CHECK(sandbox.run({"resume", "--status", "paused"}).status == 0);
    CHECK(none_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"cancel", id}).status == 0);
}

TEST_CASE("a paused operation hears the polite signal when it is cancelled") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("announce_and_stay"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGTERM"}));
}

TEST_CASE("a pause outlives the supervisor, and the next one resumes it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("announce_and_stay"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    sandbox.kill_supervisor();
    CHECK(sandbox.show(id).at("status") == "paused");
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.run({"resume", id}).status == 0);
    CHECK(none_stopped(sandbox.strangers()));
}

TEST_CASE("a pause of a parent pauses its children, and a resume continues them") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "outer"}, {"sh", "-c",
                          Sandbox::program() + " run -d -n inner -- " +
                              Sandbox::fixture("announce_and_stay") + " " + up.path() + "; sleep 1000"});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(sandbox.list({"--status", "paused"}).size() == 2);
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.run({"resume", id}).status == 0);
    CHECK(sandbox.list({"--status", "running"}).size() == 2);
}

TEST_CASE("with --pause-timeouts a timeout does not run during a pause, and without it does") {
    Sandbox sandbox;
    // A machine may be so busy that the timeout comes before the pause: then it was too short for it.
    int seconds = 1;
    const auto pause_one = [&](Words options) {
        for (;; seconds *= 2) {
            REQUIRE(seconds < 100);
            Words all{"--timeout", std::to_string(seconds) + "s"};
            all.insert(all.end(), options.begin(), options.end());
            const std::string id = sandbox.detach(all, {"sleep", "1000"});
            if (sandbox.run({"pause", id}).status == 0) return id;
        }
    };
    const std::string held = pause_one({"--pause-timeouts"});
    REQUIRE(sandbox.show(held).at("status") == "paused");
    const std::string runs_on = pause_one({});
    CHECK(sandbox.run({"wait", runs_on}).status != 0);
    CHECK(sandbox.show(runs_on).at("status") == "timeout");
    // Its own time was no longer, and had begun before.
    CHECK(sandbox.show(held).at("status") == "paused");
    CHECK(sandbox.run({"resume", held}).status == 0);
    sandbox.run({"wait", held});
    CHECK(sandbox.show(held).at("status") == "timeout");
}

TEST_CASE("a signal goes to the command alone or to the whole tree, and is no cancelation") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("double_forks"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"signal", id, "-s", "STOP"}).status == 0);
    const pid_t command = sandbox.show(id).at("pid");
    wait_until("the command to stop", [&] { return state_of(command) == 'T'; });
    CHECK_FALSE(all_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"signal", id, "-s", "RTMIN+1", "--tree"}).status == 0);
    CHECK(sandbox.run({"signal", id, "-s", "CONT"}).status == 0);
    tree.wait_until_gone();
    sandbox.run({"wait", id});
    CHECK(sandbox.show(id).at("status") == "failed");
    CHECK(sandbox.show(id).at("cancel") == nullptr);
    CHECK(sandbox.run({"signal", id, "-s", "TERM"}).status == 1);
    CHECK(sandbox.run({"signal", id}).status == 2);
}

TEST_CASE("Ctrl-Z pauses the operation and stops the run, and fg resumes both") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    TerminalSession terminal({"/bin/sh", "-i"}, sandbox.options());
    terminal.type("set -m; " + Sandbox::program() + " run " + Sandbox::fixture("announce_and_stay") + " " +
                  up.path() + "\n");
    up.wait_for_line();
    const std::string id = sandbox.only_live_id();
    terminal.type("\x1a");
    wait_until("the pause", [&] { return sandbox.show(id).at("status") == "paused"; });
    // The shell has the terminal again.
    terminal.type("echo sh''ell\n");
    terminal.wait_for("shell");
    terminal.type("fg\n");
    wait_until("the resume", [&] { return sandbox.show(id).at("status") == "running"; });
    terminal.type(TerminalSession::kCtrlC);
    sandbox.run({"wait", id});
    CHECK(sandbox.show(id).at("status") == "cancelled");
    terminal.type("exit\n");
    terminal.wait();
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
