// What becomes of the rest of a tree when the command itself has exited.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

struct Leaving {
    Child client;
    Fifo go;
    std::vector<pid_t> children;  // without the top
};

Leaving leaving(Sandbox& sandbox, const Words& options) {
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Words arguments{"run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    Child client = sandbox.start(arguments);
    REQUIRE(up.wait_for_line() == "up");
    const pid_t top = sandbox.command_of(sandbox.only_live_id());
    std::vector<pid_t> children = sandbox.strangers();
    CHECK(std::erase(children, top) == 1);
    CHECK(children.size() == 3);
    return {std::move(client), std::move(go), std::move(children)};
}

}  // namespace

TEST_SUITE_BEGIN("orphans");

TEST_CASE("by default nothing outlives its command and the status is the command's") {
    for (const Words& options : {Words{"--grace", "1h"}, Words{"--orphans", "kill", "--grace", "1h"}}) {
        Sandbox sandbox;
        Leaving run = leaving(sandbox, options);
        const Witness children(run.children);
        run.go.go();
        const Finished finished = run.client.wait();
        CHECK(children.alive() == std::vector<pid_t>{});
        CHECK(finished.status == 7);
        const Json record = sandbox.json({"list", "--all", "--json"}).at(0);
        CHECK(record.at("status") == "failed");
        CHECK(record.at("exit").at("code") == 7);
        CHECK(record.at("cancel") == nullptr);
    }
}

TEST_CASE("deaf orphans are gone before the run returns") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "200ms", "--", "sh", "-c",
                                  Sandbox::fixture("deaf") + " " + up.path() + " & read x <" + up.path()});
    const Finished finished = client.wait();
    CHECK(finished.status == 0);
    CHECK(sandbox.strangers() == std::vector<pid_t>{});
}

TEST_CASE("with --orphans wait the operation goes on until the last has ended") {
    Sandbox sandbox;
    Leaving run = leaving(sandbox, {"--orphans", "wait"});
    const Witness all = sandbox.tree();
    const Witness children(run.children);
    run.go.go();
    wait_until("the top to exit", [&] { return all.alive().size() == run.children.size(); });
    CHECK(children.alive().size() == 3);
    CHECK_FALSE(run.client.has_ended());
    CHECK(sandbox.show(sandbox.only_live_id()).at("status") == "running");
    children.signal(SIGTERM);
    const Finished finished = run.client.wait();
    CHECK(children.all_gone());
    CHECK(finished.status == 7);
}

TEST_CASE("with --orphans leave the operation is over and they run on") {
    Sandbox sandbox;
    Leaving run = leaving(sandbox, {"--orphans", "leave"});
    const Witness children(run.children);
    run.go.go();
    const Finished finished = run.client.wait();
    CHECK(finished.status == 7);
    CHECK(children.alive().size() == 3);
    CHECK(sandbox.json({"list", "--json"}) == Json::array());
    children.signal(SIGTERM);
    children.wait_until_gone();
    // Their shim reaped them, and has nothing to stay for.
    wait_until("the shim to leave", [&] { return sandbox.shims().empty(); });
}

TEST_CASE("an operation that is ended while its orphans are left still ends them") {
    Sandbox sandbox;
    Leaving run = leaving(sandbox, {"--orphans", "leave", "--grace", "1h"});
    const Witness all = sandbox.tree();
    CHECK(sandbox.run({"cancel", sandbox.only_live_id()}).status == 0);
    CHECK(all.alive() == std::vector<pid_t>{});
    CHECK(run.client.wait().status == 143);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
