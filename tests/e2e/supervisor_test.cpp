// The supervisor's own life: started on demand, found again, stopped.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {

TEST_SUITE_BEGIN("supervisor");

TEST_CASE("clients that race start one supervisor") {
    Sandbox sandbox;
    for (int round = 0; round < 5; ++round) {
        std::vector<Child> clients;
        for (int i = 0; i < 8; ++i)
            clients.push_back(sandbox.start({"run", "echo", "out"}));
        for (Child& client : clients) {
            const Finished finished = client.wait();
            CHECK_MESSAGE(finished.status == 0, finished.err);
            CHECK(finished.out == "out\n");
        }
        // Those that found another one there are on their way out, or out.
        wait_until("one supervisor", [&] { return sandbox.supervisor_count() == 1; });
        CHECK(sandbox.json({"list", "--all", "--json"}).size() >= 8);
        sandbox.kill_supervisor();
    }
}

TEST_CASE("one that was started on demand leaves when it is idle") {
    Sandbox sandbox;
    sandbox.write_file("config/cancelable/config.toml", "[supervisor]\nidle_exit = \"200ms\"\n");
    CHECK(sandbox.run({"run", "true"}).status == 0);
    wait_until("the supervisor to leave", [&] { return !sandbox.supervisor().has_value(); });
    CHECK(::access(sandbox.socket().c_str(), F_OK) != 0);
    CHECK(sandbox.run({"run", "true"}).status == 0);
}

TEST_CASE("it is not idle while an operation lives") {
    Sandbox sandbox;
    sandbox.write_file("config/cancelable/config.toml", "[supervisor]\nidle_exit = \"100ms\"\n");
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    const auto first = sandbox.supervisor();
    REQUIRE(first.has_value());
    // Another one, that came later and has nothing to do, has left meanwhile.
    const std::string socket = sandbox.make_directory("other") + "/socket";
    REQUIRE(sandbox.run({"--socket", socket, "run", "true"}).status == 0);
    wait_until("the other one to leave", [&] { return sandbox.supervisor_count() == 1; });
    CHECK(sandbox.supervisor() == first);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    wait_until("the supervisor to leave", [&] { return !sandbox.supervisor().has_value(); });
}

TEST_CASE("supervisor start starts one and says that it is there already") {
    Sandbox sandbox;
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    const auto first = sandbox.supervisor();
    REQUIRE(first.has_value());
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    CHECK(sandbox.supervisor() == first);
}

TEST_CASE("supervisor status tells pid and socket and starts none") {
    Sandbox sandbox;
    const Finished none = sandbox.run({"supervisor", "status"});
    CHECK(none.status != 0);
    CHECK_FALSE(sandbox.supervisor().has_value());
    sandbox.run({"supervisor", "start"});
    const Finished there = sandbox.run({"supervisor", "status"});
    CHECK(there.status == 0);
    CHECK(there.out.find(std::to_string(*sandbox.supervisor())) != std::string::npos);
    CHECK(there.out.find(sandbox.socket()) != std::string::npos);
}

TEST_CASE("supervisor stop leaves nothing behind") {
    Sandbox sandbox;
    CHECK(sandbox.run({"run", "true"}).status == 0);
    const Witness supervisor({*sandbox.supervisor()});
    CHECK(sandbox.run({"supervisor", "stop"}).status == 0);
    supervisor.wait_until_gone();
    CHECK(::access(sandbox.socket().c_str(), F_OK) != 0);
}

TEST_CASE("supervisor stop with live operations refuses") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    const Finished stop = sandbox.run({"supervisor", "stop"});
    CHECK(stop.status == 1);
    CHECK(stop.err.find("--cancel") != std::string::npos);
    CHECK(stop.err.find("--keep") != std::string::npos);
    CHECK(sandbox.show(id).at("status") == "running");
}

TEST_CASE("supervisor stop --cancel ends everything first") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    sandbox.detach({"--grace", "200ms"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    const Witness supervisor({*sandbox.supervisor()});
    CHECK(sandbox.run({"supervisor", "stop", "--cancel"}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
    supervisor.wait_until_gone();
}

TEST_CASE("supervisor stop --keep leaves operations to the next one") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("makes_session"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    const Witness supervisor({*sandbox.supervisor()});
    CHECK(sandbox.run({"supervisor", "stop", "--keep"}).status == 0);
    supervisor.wait_until_gone();
    CHECK(tree.alive().size() == tree.size());
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("supervisor restart keeps operations") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("makes_session"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    const auto first = sandbox.supervisor();
    CHECK(sandbox.run({"supervisor", "restart"}).status == 0);
    wait_until("one supervisor", [&] { return sandbox.supervisor_count() == 1; });
    CHECK(sandbox.supervisor() != first);
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(tree.alive().size() == tree.size());
}

TEST_CASE("a second foreground supervisor is refused") {
    Sandbox sandbox;
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    const auto first = sandbox.supervisor();
    const Finished second = sandbox.run({"supervisor", "run"});
    CHECK(second.status == 1);
    CHECK(second.err.find(std::to_string(*first)) != std::string::npos);
    CHECK(sandbox.supervisor() == first);
}

TEST_CASE("SIGTERM to a foreground supervisor cancels everything") {
    Sandbox sandbox;
    Child supervisor = sandbox.start({"supervisor", "run"});
    wait_until("the socket", [&] { return ::access(sandbox.socket().c_str(), F_OK) == 0; });
    Fifo up = sandbox.fifo();
    sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("makes_session"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    supervisor.signal(SIGTERM);
    supervisor.wait();
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("a run inside an operation starts no supervisor below it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"--no-log"}, {"sh", "-c",
                       "echo up >" + up.path() + "; read x <" + go.path() + "; " + Sandbox::program() +
                           " run true 2>" + sandbox.path("err") + "; exit $?"});
    up.wait_for_line();
    sandbox.kill_supervisor();
    go.go();
    const Witness tree = sandbox.tree();
    tree.wait_until_gone();
    CHECK(sandbox.run({"wait", id}).status == 125);
}

TEST_CASE("the supervisor is in a session of its own and holds no terminal or directory") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    how.cwd = sandbox.make_directory("caller");
    CHECK(sandbox.run({"run", "true"}, how).status == 0);
    const pid_t pid = *sandbox.supervisor();
    CHECK(::getsid(pid) != ::getsid(0));
    char cwd[256] = "";
    CHECK(::readlink(("/proc/" + std::to_string(pid) + "/cwd").c_str(), cwd, sizeof cwd - 1) == 1);
    CHECK(std::string(cwd) == "/");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
