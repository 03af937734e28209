// Signals to the client of a foreground run.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {

TEST_SUITE_BEGIN("client signals");

TEST_CASE("the command gets the very signal that its client got") {
    Sandbox sandbox;
    for (const auto& [number, name] :
         {std::pair{SIGINT, "INT"}, std::pair{SIGTERM, "TERM"}, std::pair{SIGHUP, "HUP"}}) {
        const std::string got = sandbox.path(std::string("got-") + name);
        Fifo up(sandbox.path(std::string("up-") + name));
        Child client = sandbox.start({"run", "--preserve-status", "--grace", "1h", "--", "bash", "-c",
                                      "trap 'exit 41' INT; trap 'exit 42' TERM; trap 'exit 43' HUP; mkfifo " +
                                          got + "; echo up >" + up.path() + "; read x <>" + got});
        up.wait_for_line();
        client.signal(number);
        CHECK(client.wait().status == (number == SIGINT ? 41 : number == SIGTERM ? 42 : 43));
    }
}

TEST_CASE("a second SIGTERM goes straight to SIGKILL") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "1h", "--", Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    client.signal(SIGINT);
    wait_until("the cancelation",
               [&] { return sandbox.json({"list", "--json"}).at(0).at("status") == "cancelling"; });
    CHECK(tree.alive().size() == tree.size());
    client.signal(SIGTERM);
    CHECK(client.wait().status == 137);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("SIGUSR1 and SIGUSR2 and SIGWINCH are passed on to the command alone") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string script = "trap 'echo usr1 >" + up.path() + "' USR1; trap 'echo usr2 >" + up.path() +
                               "' USR2; trap 'echo winch >" + up.path() + "' WINCH; echo up >" + up.path() +
                               "; while :; do read -t 1000 x <>" + sandbox.path("never") + "; done";
    Fifo never(sandbox.path("never"));
    Child client = sandbox.start({"run", "--grace", "1h", "--", "bash", "-c", script});
    REQUIRE(up.wait_for_line() == "up");
    client.signal(SIGUSR1);
    CHECK(up.wait_for_line() == "usr1");
    client.signal(SIGUSR2);
    CHECK(up.wait_for_line() == "usr2");
    client.signal(SIGWINCH);
    CHECK(up.wait_for_line() == "winch");
    client.signal(SIGTERM);
    CHECK(client.wait().status == 143);
}

TEST_CASE("under nohup a run ignores SIGHUP") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    SpawnOptions how = sandbox.options();
    how.in_child = [] { std::signal(SIGHUP, SIG_IGN); };
    Child client =
        sandbox.start({"run", "--", Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"}, how);
    REQUIRE(up.wait_for_line() == "up");
    client.signal(SIGHUP);
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(sandbox.show(sandbox.only_live_id()).at("status") == "running");
    go.go();
    CHECK(client.wait().status == 7);
}

TEST_CASE("a signal that comes before the command runs ends it all the same") {
    Sandbox sandbox;
    CHECK(sandbox.run({"list"}).status == 0);
    // Without any waiting, so that it hits any moment from before main() to after the command's start.
    for (int i = 0; i < 30; ++i) {
        Child client = sandbox.start({"run", "--grace", "1h", "sleep", "1000"});
        ::usleep(static_cast<useconds_t>(i * 150));
        client.signal(SIGTERM);
        CHECK(client.wait().status == 143);
    }
    wait_until("nothing of them", [&] { return sandbox.strangers().empty(); });
    CHECK(sandbox.json({"list", "--json"}) == Json::array());
}

TEST_CASE("a client that is stopped does not hold its command up") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Child client =
        sandbox.start({"run", "--", Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    REQUIRE(up.wait_for_line() == "up");
    const std::string id = sandbox.only_live_id();
    client.signal(SIGSTOP);
    go.go();
    CHECK(sandbox.run({"wait", id}).status == 7);
    client.signal(SIGCONT);
    CHECK(client.wait().status == 7);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
