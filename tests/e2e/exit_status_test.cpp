// The table of exit statuses, one by one.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// A foreground run in the background of the test, once its command is up.
struct Running {
    Child client;
    std::string id;
};

Running running(Sandbox& sandbox, const std::string& fixture, const Words& options = {}) {
    Fifo up = sandbox.fifo();
    Words arguments{"run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", Sandbox::fixture(fixture), up.path()});
    Child client = sandbox.start(arguments);
    REQUIRE(up.wait_for_line() == "up");
    return {std::move(client), sandbox.only_live_id()};
}

int status_of_run(Sandbox& sandbox, const Words& words) {
    Words arguments{"run"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const Finished finished = sandbox.run(arguments);
    INFO(finished.err);
    CHECK_FALSE(finished.by_signal);
    return finished.status;
}

}  // namespace

TEST_SUITE_BEGIN("exit status");

TEST_CASE("a command that exits by itself gives its own status") {
    Sandbox sandbox;
    for (const int code : {0, 1, 2, 7, 124, 125, 126, 127, 130, 255}) {
        const Finished finished =
            sandbox.run({"run", "--", Sandbox::fixture("ends"), "exit", std::to_string(code)});
        CHECK(finished.status == code);
        CHECK_FALSE(finished.by_signal);
        CHECK(finished.err == "");
    }
}

TEST_CASE("a command that a signal ends gives 128 and the signal") {
    Sandbox sandbox;
    for (const int number :
         {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGRTMIN}) {
        CAPTURE(number);
        CHECK(status_of_run(sandbox, {"--", Sandbox::fixture("ends"), "signal", std::to_string(number)}) ==
              128 + number);
    }
    const Json last = sandbox.json({"list", "--all", "-n", "1", "--json"}).at(0);
    CHECK(last.at("status") == "failed");
    CHECK(last.at("exit").contains("signal"));
    CHECK(last.at("cancel") == nullptr);
}

TEST_CASE("a timeout gives 124") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"run", "--timeout", "100ms", "--grace", "1h", "sleep", "1000"});
    CHECK(finished.status == 124);
    CHECK(finished.err != "");
}

TEST_CASE("a timeout that needs SIGKILL gives 137") {
    Sandbox sandbox;
    CHECK(status_of_run(sandbox, {"--timeout", "2s", "--grace", "100ms", "--", Sandbox::fixture("ticks")}) ==
          137);
    CHECK(status_of_run(sandbox, {"--timeout", "100ms", "--signal", "KILL", "sleep", "1000"}) == 137);
}

TEST_CASE("each signal that ends a run gives 128 and that signal") {
    Sandbox sandbox;
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
        CAPTURE(number);
        Running run = running(sandbox, "announce_and_stay", {"--grace", "1h"});
        run.client.signal(number);
        const Finished finished = run.client.wait();
        CHECK(finished.status == 128 + number);
        CHECK_FALSE(finished.by_signal);
        CHECK(sandbox.strangers().empty());
        CHECK(sandbox.show(run.id).at("cancel").at("reason") == "signal");
    }
}

TEST_CASE("a cancelled run gives 143 by default") {
    Sandbox sandbox;
    Running run = running(sandbox, "announce_and_stay", {"--grace", "1h"});
    CHECK(sandbox.run({"cancel", run.id}).status == 0);
    CHECK(run.client.wait().status == 143);
}

TEST_CASE("a cancelled run gives 128 and the polite signal that was chosen") {
    Sandbox sandbox;
    Running by_run = running(sandbox, "announce_and_stay", {"--grace", "1h", "--signal", "USR1"});
    CHECK(sandbox.run({"cancel", by_run.id}).status == 0);
    CHECK(by_run.client.wait().status == 128 + SIGUSR1);
    Running by_cancel = running(sandbox, "announce_and_stay", {"--grace", "1h"});
    CHECK(sandbox.run({"cancel", by_cancel.id, "--signal", "SIGINT"}).status == 0);
    CHECK(by_cancel.client.wait().status == 130);
    Running by_number = running(sandbox, "announce_and_stay", {"--grace", "1h"});
    CHECK(sandbox.run({"cancel", by_number.id, "--signal", "1"}).status == 0);
    CHECK(by_number.client.wait().status == 129);
}

TEST_CASE("a cancelled run that needs SIGKILL gives 137") {
    Sandbox sandbox;
    Running deaf = running(sandbox, "deaf", {"--grace", "100ms"});
    CHECK(sandbox.run({"cancel", deaf.id}).status == 0);
    CHECK(deaf.client.wait().status == 137);
    Running now = running(sandbox, "announce_and_stay", {"--grace", "1h"});
    CHECK(sandbox.run({"cancel", now.id, "--now"}).status == 0);
    CHECK(now.client.wait().status == 137);
}

TEST_CASE("a command that exits in its own way on the polite signal is cancelled all the same") {
    Sandbox sandbox;
    const std::string up = sandbox.path("up");
    Fifo fifo(up);
    const Words command{"sh", "-c", "trap 'exit 5' TERM; sleep 1000 & echo up >" + up + "; wait; exit 5"};
    Words arguments{"run", "--grace", "1h", "--"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    // Between fork and exec the shell's child still has the shell's trap, and would swallow the signal.
    const auto once_asleep = [&] {
        fifo.wait_for_line();
        wait_until("sleep to run", [&] {
            const auto processes = sandbox.strangers();
            return std::ranges::any_of(processes,
                                       [](pid_t pid) { return command_line(pid) == Words{"sleep", "1000"}; });
        });
    };
    Child plain = sandbox.start(arguments);
    once_asleep();
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
    CHECK(plain.wait().status == 143);

    arguments.insert(arguments.begin() + 1, "--preserve-status");
    Child preserving = sandbox.start(arguments);
    once_asleep();
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
    CHECK(preserving.wait().status == 5);
}

TEST_CASE("--preserve-status gives the command's own status after a timeout") {
    Sandbox sandbox;
    CHECK(status_of_run(
              sandbox, {"--preserve-status", "--timeout", "100ms", "--grace", "1h", "sleep", "1000"}) == 143);
    CHECK(status_of_run(sandbox, {"--preserve-status", "--timeout", "10s", "--", Sandbox::fixture("ends"),
                                  "exit", "9"}) == 9);
}

TEST_CASE("125 is for failures of cancelable itself") {
    Sandbox sandbox;
    CHECK(status_of_run(sandbox, {"--cwd", "/nonexistent", "true"}) == 125);
    const Finished lost = sandbox.run({"--socket", "/proc/nonexistent/socket", "run", "true"});
    CHECK(lost.status == 125);
    CHECK(lost.err.find("cancelable") != std::string::npos);
}

TEST_CASE("126 is for a command that cannot be executed") {
    Sandbox sandbox;
    const std::string script = sandbox.write_file("script", "#!/bin/sh\n", 0644);
    const Finished forbidden = sandbox.run({"run", "--", script});
    CHECK(forbidden.status == 126);
    CHECK(forbidden.err.find(script) != std::string::npos);
    CHECK(status_of_run(sandbox, {"--", sandbox.path("home")}) == 126);
}

TEST_CASE("what the kernel cannot execute is not given to a shell") {
    Sandbox sandbox;
    CHECK(status_of_run(sandbox, {"--", sandbox.write_file("script", "exit 6\n", 0755)}) == 126);
}

TEST_CASE("a detached command that cannot be started gives 126 or 127") {
    Sandbox sandbox;
    const Finished missing = sandbox.run({"run", "--detach", "no-such-command-anywhere"});
    CHECK(missing.status == 127);
    CHECK(missing.err.find("no-such-command-anywhere") != std::string::npos);
    CHECK(sandbox.run({"run", "--detach", sandbox.path("home")}).status == 126);
}

TEST_CASE("127 is for a command that is not found") {
    Sandbox sandbox;
    const Finished missing = sandbox.run({"run", "no-such-command-anywhere"});
    CHECK(missing.status == 127);
    CHECK(missing.err.find("no-such-command-anywhere") != std::string::npos);
    CHECK(status_of_run(sandbox, {"--", sandbox.path("nothing/here")}) == 127);
    const Json record = sandbox.json({"list", "--all", "-n", "1", "--json"}).at(0);
    CHECK(record.at("status") == "failed");
    CHECK(record.at("exit").at("code") == 127);
}

TEST_CASE("wait gives the status of the operation it waited for") {
    Sandbox sandbox;
    const auto ended = [&](const Words& command) { return sandbox.detach({"--no-log"}, command); };
    CHECK(sandbox.run({"wait", ended({"true"})}).status == 0);
    CHECK(sandbox.run({"wait", ended({Sandbox::fixture("ends"), "exit", "7"})}).status == 7);
    CHECK(sandbox.run({"wait", ended({Sandbox::fixture("ends"), "signal", "9"})}).status == 137);
    const std::string id = ended({"sleep", "1000"});
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.run({"wait", id}).status == 143);
    CHECK(sandbox.run({"wait", sandbox.detach({"--timeout", "50ms"}, {"sleep", "1000"})}).status == 124);
}

TEST_CASE("wait for several gives 0 if all completed and 1 if not") {
    Sandbox sandbox;
    sandbox.detach({"-n", "good_1"}, {"true"});
    sandbox.detach({"-n", "good_2"}, {"true"});
    sandbox.detach({"-n", "bad_1"}, {"false"});
    CHECK(sandbox.run({"wait", "good_*"}).status == 0);
    CHECK(sandbox.run({"wait", "good_*", "bad_*"}).status == 1);
}

TEST_CASE("wait that runs out of time gives 124 and cancels nothing") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    CHECK(sandbox.run({"wait", id, "--timeout", "100ms"}).status == 124);
    CHECK(sandbox.show(id).at("status") == "running");
}

TEST_CASE("wait --any returns with the first that ends") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string slow = sandbox.detach({"-n", "job_slow"}, {"sleep", "1000"});
    const std::string quick =
        sandbox.detach({"-n", "job_quick"}, {Sandbox::fixture("leaves_children"), up.path(), go.path()});
    up.wait_for_line();
    Child waiting = sandbox.start({"wait", "job_*", "--any"});
    go.go();
    CHECK(waiting.wait().status == 0);
    CHECK(sandbox.show(quick).at("status") == "completed");
    CHECK(sandbox.show(slow).at("status") == "running");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
