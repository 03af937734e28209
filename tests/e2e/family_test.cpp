// Operations inside operations.
#include <doctest/doctest.h>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// A shell command that runs an operation from a process that has double-forked, in a session of its own, and
// knows nothing of its surroundings but the socket. `run` as in `cancelable run …`.
std::string from_nowhere(const Sandbox& sandbox, const std::string& run) {
    return "(setsid env -i " + Sandbox::program() + " --socket " + sandbox.socket() + " " + run + " &)";
}

std::string stayer(const Fifo& up) {
    return Sandbox::fixture("announce_and_stay") + " " + up.path();
}

}  // namespace

TEST_SUITE_BEGIN("family");

TEST_CASE("a run from a double fork without environment and session is a child of the operation around it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "outer"},
        {"sh", "-c", from_nowhere(sandbox, "run -d -n inner -- " + stayer(up)) + "; sleep 1000"});
    up.wait_for_line();
    const Json inner = sandbox.list({"inner"}).at(0);
    CHECK(inner.at("parent").dump() == id);
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(inner.at("id").dump()).at("cancel").at("reason") == "parent");
}

TEST_CASE("current tells the operation to a process without environment, and --parent none has its way") {
    Sandbox sandbox;
    const std::string program = "env -i " + Sandbox::program() + " --socket " + sandbox.socket();
    const Finished finished =
        sandbox.run({"run", "-n", "outer", "sh", "-c",
                     program + " current; " + program + " run --parent none -n inner true"});
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    const Json operations = sandbox.json({"list", "--all", "--json"});
    CHECK(finished.out == operations.at(0).at("id").dump() + "\n");
    CHECK(operations.at(1).at("parent") == nullptr);
    const Finished outside = sandbox.run({"current"});
    CHECK(outside.status == 1);
}

TEST_CASE("a supervisor that has adopted an operation finds it around a run of its tree") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "outer"}, {"sh", "-c",
                          "echo up > " + up.path() + "; read go < " + go.path() + "; " +
                              from_nowhere(sandbox, "run -d -n inner -- " + stayer(up)) + "; sleep 1000"});
    REQUIRE(up.wait_for_line() == "up");
    sandbox.kill_supervisor();
    REQUIRE(sandbox.list().size() == 1);
    go.go();
    up.wait_for_line();
    CHECK(sandbox.list({"inner"}).at(0).at("parent").dump() == id);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.strangers() == std::vector<pid_t>{});
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
