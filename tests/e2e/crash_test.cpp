// SIGKILL to each part while operations run: nothing that was promised may depend on it.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

struct Up {
    std::string id;
    Witness tree;
};

Up detached_tree(Sandbox& sandbox, const std::string& fixture, const Words& options = {}) {
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(options, {Sandbox::fixture(fixture), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    return {id, sandbox.tree()};
}

}  // namespace

TEST_SUITE_BEGIN("crash");

TEST_CASE("a command that kills its own shim is lost and its tree gone") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Child client = sandbox.start(
        {"run", "--grace", "200ms", "--", Sandbox::fixture("kills_parent"), up.path(), go.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    const std::string id = sandbox.only_live_id();
    const Witness shim(sandbox.shims());
    go.go();
    const Finished finished = client.wait();
    CHECK(shim.all_gone());
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(finished.status == 125);
    CHECK(finished.err != "");
    const Json record = sandbox.show(id);
    CHECK(record.at("status") == "lost");
    CHECK(record.at("error").is_string());
}

TEST_CASE("a shim that dies loses its own operation and no other") {
    Sandbox sandbox;
    const Up first = detached_tree(sandbox, "deaf", {"-n", "first"});
    const std::vector<pid_t> shims = sandbox.shims();
    REQUIRE(shims.size() == 1);
    const std::string second = sandbox.detach({"-n", "second"}, {"sleep", "1000"});
    Witness(shims).signal(SIGKILL);
    CHECK(sandbox.run({"wait", first.id}).status == 125);
    CHECK(first.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(second).at("status") == "running");
}

TEST_CASE("a foreground run goes on when its supervisor is killed and ends with its own status") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Child client =
        sandbox.start({"run", "--", Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    sandbox.kill_supervisor();
    CHECK(tree.alive().size() == tree.size());
    go.go();
    const Finished finished = client.wait();
    CHECK_MESSAGE(finished.status == 7, finished.err);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("a foreground run can be cancelled after its supervisor was killed") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client =
        sandbox.start({"run", "--grace", "1h", "--", Sandbox::fixture("makes_session"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    sandbox.kill_supervisor();
    SUBCASE("by Ctrl-C") {
        client.signal(SIGINT);
        CHECK(client.wait().status == 130);
    }
    SUBCASE("by cancel") {
        CHECK(sandbox.run({"cancel", "--all"}).status == 0);
        CHECK(tree.alive() == std::vector<pid_t>{});
        CHECK(client.wait().status == 143);
    }
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("a detached operation is adopted by the next supervisor") {
    Sandbox sandbox;
    const Up operation =
        detached_tree(sandbox, "makes_session", {"-n", "survivor", "--tag", "k=v", "--grace", "1h"});
    const Json before = sandbox.show(operation.id);
    sandbox.kill_supervisor();
    CHECK(operation.tree.alive().size() == operation.tree.size());
    Json after = sandbox.show(operation.id);
    after["duration"] = before.at("duration");  // It goes on growing.
    CHECK(after == before);
    CHECK(sandbox.run({"cancel", "survivor"}).status == 0);
    CHECK(operation.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(operation.id).at("status") == "cancelled");
}

TEST_CASE("an exit status is not lost while no supervisor is there") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id =
        sandbox.detach({}, {Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    sandbox.kill_supervisor();
    go.go();
    tree.wait_until_gone();
    wait_until("the shim to leave", [&] { return sandbox.shims().empty(); });
    CHECK_FALSE(sandbox.supervisor().has_value());
    CHECK(sandbox.run({"wait", id}).status == 7);
    CHECK(sandbox.show(id).at("exit").at("code") == 7);
}

TEST_CASE("a timeout is honoured while no supervisor is there") {
    Sandbox sandbox;
    const Up operation = detached_tree(sandbox, "deaf", {"--timeout", "4s", "--grace", "200ms"});
    sandbox.kill_supervisor();
    operation.tree.wait_until_gone();
    CHECK_FALSE(sandbox.supervisor().has_value());
    CHECK(sandbox.run({"wait", operation.id}).status == 137);
    const Json record = sandbox.show(operation.id);
    CHECK(record.at("status") == "timeout");
    CHECK(record.at("cancel").at("signals") == Json::array({"SIGTERM", "SIGKILL"}));
}

TEST_CASE("a lifeline is honoured while no supervisor is there") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "200ms", "--", Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    const std::string id = sandbox.only_live_id();
    // Stopped first, so that it starts no other supervisor before it dies itself.
    client.signal(SIGSTOP);
    sandbox.kill_supervisor();
    CHECK(tree.alive().size() == tree.size());
    client.signal(SIGKILL);
    tree.wait_until_gone();
    CHECK_FALSE(sandbox.supervisor().has_value());
    CHECK(sandbox.run({"wait", id}).status == 137);
    const Json record = sandbox.show(id);
    CHECK(record.at("status") == "cancelled");
    CHECK(record.at("cancel").at("reason") == "disconnect");
}

TEST_CASE("a cancelation that was under way goes on when the supervisor is killed") {
    Sandbox sandbox;
    const Up operation = detached_tree(sandbox, "deaf", {"--grace", "500ms"});
    CHECK(sandbox.run({"cancel", operation.id, "--no-wait"}).status == 0);
    sandbox.kill_supervisor();
    operation.tree.wait_until_gone();
    CHECK(sandbox.run({"wait", operation.id}).status == 137);
    CHECK(sandbox.show(operation.id).at("status") == "cancelled");
}

TEST_CASE("a client that is killed leaves nothing once the grace is over") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "200ms", "--", Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    client.signal(SIGKILL);
    tree.wait_until_gone();
    wait_until("the record to say so", [&] { return sandbox.json({"list", "--json"}).empty(); });
    CHECK(sandbox.json({"list", "--all", "--json"}).at(0).at("cancel").at("reason") == "disconnect");
}

TEST_CASE("with --on-disconnect keep an operation outlives its client") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--on-disconnect", "keep", "--grace", "1h", "--",
                                  Sandbox::fixture("makes_session"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    const std::string id = sandbox.only_live_id();
    client.signal(SIGKILL);
    client.wait();
    // The next run passes the same ways through supervisor and shims, so a cancelation would have begun by
    // then.
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(tree.alive().size() == tree.size());
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("an id is never used twice also after a supervisor was killed") {
    Sandbox sandbox;
    unsigned long last = 0;
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 3; ++i) {
            const unsigned long id = std::stoul(sandbox.detach({}, {"true"}));
            CHECK(id > last);
            last = id;
        }
        sandbox.kill_supervisor();
    }
}

TEST_CASE("many operations of all kinds survive a killed supervisor") {
    Sandbox sandbox;
    std::vector<std::string> ids;
    for (int i = 0; i < 20; ++i)
        ids.push_back(sandbox.detach({"-n", "job_" + std::to_string(i), "--grace", "1h"}, {"sleep", "1000"}));
    const std::string done = sandbox.detach({}, {"true"});
    CHECK(sandbox.run({"wait", done}).status == 0);
    const Witness tree = sandbox.tree();
    for (int round = 0; round < 3; ++round) {
        sandbox.kill_supervisor();
        CHECK(sandbox.json({"list", "--json"}).size() == ids.size());
    }
    CHECK(tree.alive().size() == tree.size());
    CHECK(sandbox.run({"cancel", "job_*"}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
