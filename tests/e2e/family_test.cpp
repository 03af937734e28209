// Operations inside operations.
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// A shell command that runs an operation from a process that has double-forked, in a session of its own, and
// knows nothing of its surroundings but the socket. `run` as in `cancelable run …`.
std::string from_nowhere(const Sandbox& sandbox, const std::string& run) {
    return "(setsid env -i " + Sandbox::program() + " --socket " + sandbox.socket() + " " + run + " &)";
}

bool is_ended(const Json& operation) {
    return operation.at("ended_at").is_string();
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

// Four operations in a line, a to d, and two branches, each of which a double fork without environment has
// started: one below a, and one below c.
class FourDeep {
public:
    explicit FourDeep(Sandbox& sandbox) : sandbox_(sandbox) {
        Fifo up = sandbox.fifo();
        const std::string run = Sandbox::program() + " run ";
        const std::string c =
            sandbox.write_file("c", from_nowhere(sandbox, "run -d -n twig -- " + stayer(up)) + "\nexec " +
                                        run + "-n d -- " + stayer(up));
        const std::string b = sandbox.write_file("b", run + "-n c -- sh " + c);
        const std::string a =
            sandbox.write_file("a", from_nowhere(sandbox, "run -d -n branch -- " + stayer(up)) + "\n" + run +
                                        "-n b -- sh " + b + " &\nwait\nsleep 1000");
        sandbox.detach({"-n", "a"}, {"sh", a});
        for (int i = 0; i < 3; ++i)
            up.wait_for_line();
        for (const Json& operation : sandbox.json({"list", "--json"}))
            ids_[operation.at("name")] = operation.at("id").dump();
    }
    std::string id(const std::string& name) const { return ids_.at(name); }
    Json show(const std::string& name) const { return sandbox_.show(id(name)); }

    // What is below that operation's shim, clients included.
    std::vector<pid_t> tree(const std::string& name) const {
        return descendants(parent_of(sandbox_.command_of(id(name))));
    }

private:
    Sandbox& sandbox_;
    std::map<std::string, std::string> ids_;
};

TEST_CASE("cancelling the top of a family four deep leaves nothing, the branch from nowhere included") {
    Sandbox sandbox;
    const FourDeep family(sandbox);
    CHECK(family.show("d").at("parent").dump() == family.id("c"));
    CHECK(family.show("branch").at("parent").dump() == family.id("a"));
    CHECK(family.show("twig").at("parent").dump() == family.id("c"));
    const Witness tree = sandbox.tree();
    const Finished cancelled = sandbox.run({"cancel", family.id("a")});
    CHECK(cancelled.status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.list() == Json::array());
    for (const char* name : {"b", "c", "d", "branch", "twig"}) {
        CAPTURE(name);
        CHECK(family.show(name).at("status") == "cancelled");
        CHECK(family.show(name).at("cancel").at("reason") == "parent");
    }
    CHECK(family.show("a").at("cancel").at("reason") == "manual");
}

TEST_CASE("cancelling the middle of a family leaves the rest of it untouched") {
    Sandbox sandbox;
    const FourDeep family(sandbox);
    const Words below{"b", "c", "d", "twig"};
    std::vector<pid_t> rest = sandbox.strangers();
    std::vector<pid_t> cut;
    for (const std::string& name : below)
        std::ranges::copy(family.tree(name), std::back_inserter(cut));
    std::erase_if(rest, [&](pid_t pid) { return std::ranges::find(cut, pid) != cut.end(); });
    const Witness gone(cut);
    const Witness untouched(rest);
    CHECK(untouched.size() >= 2);
    CHECK(sandbox.run({"cancel", family.id("b")}).status == 0);
    CHECK(gone.alive() == std::vector<pid_t>{});
    CHECK(untouched.alive() == rest);
    for (const std::string& name : below)
        CHECK(family.show(name).at("status") == "cancelled");
    for (const char* name : {"a", "branch"}) {
        CHECK(family.show(name).at("status") == "running");
        CHECK(family.show(name).at("cancel") == nullptr);
    }
}

TEST_CASE("a parent that ends by itself takes its unfinished children along before it has ended") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string parent =
        sandbox.detach({"-n", "outer"},
                       {"sh", "-c",
                        Sandbox::program() + " run -d -n inner --grace 300ms -- " + Sandbox::fixture("deaf") +
                            " " + up.path() + " >/dev/null; read go < " + go.path()});
    up.wait_for_line();
    const std::string child = sandbox.list({"inner"}).at(0).at("id").dump();
    const Witness tree = sandbox.tree();
    go.go();
    sandbox.run({"wait", parent});
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(parent).at("cancel") == nullptr);
    CHECK(sandbox.show(child).at("status") == "cancelled");
    CHECK(sandbox.show(child).at("cancel").at("reason") == "parent");
    CHECK(sandbox.show(child).at("cancel").at("message").get<std::string>().ends_with("has ended"));
}

// A parent that has nothing more to do itself, and a child that ends when it is told to.
struct ParentDone {
    ParentDone(Sandbox& sandbox, const std::string& orphans) : up(sandbox.fifo()), go(sandbox.fifo()) {
        parent = sandbox.detach({"-n", "outer", "--orphans", orphans},
                                {"sh", "-c",
                                 Sandbox::program() + " run -d -n inner -- sh -c 'echo up > " + up.path() +
                                     "; read go < " + go.path() + "'"});
        up.wait_for_line();
        child = sandbox.list({"inner"}).at(0).at("id").dump();
    }
    Fifo up;
    Fifo go;
    std::string parent;
    std::string child;
};

TEST_CASE("with --orphans wait a parent lasts as long as its children") {
    Sandbox sandbox;
    ParentDone family(sandbox, "wait");
    wait_until("the parent's command to end",
               [&] { return sandbox.show(family.parent).at("exit") == Json{{"code", 0}}; });
    CHECK(sandbox.show(family.parent).at("status") == "running");
    family.go.go();
    sandbox.run({"wait", family.parent});
    CHECK(sandbox.show(family.parent).at("status") == "completed");
    CHECK(is_ended(sandbox.show(family.child)));
    CHECK(sandbox.show(family.child).at("cancel") == nullptr);
}

TEST_CASE("with --orphans wait a parent that is over can still be cancelled with its children") {
    Sandbox sandbox;
    ParentDone family(sandbox, "wait");
    wait_until("the parent's command to end",
               [&] { return sandbox.show(family.parent).at("exit") == Json{{"code", 0}}; });
    CHECK(sandbox.run({"cancel", family.parent}).status == 0);
    CHECK(sandbox.show(family.child).at("status") == "cancelled");
    CHECK(sandbox.show(family.parent).at("status") == "cancelled");
    CHECK(sandbox.show(family.parent).at("cancel").at("gone_at").is_string());
    CHECK(sandbox.strangers() == std::vector<pid_t>{});
}

TEST_CASE("with --orphans leave children go on without their parent") {
    Sandbox sandbox;
    ParentDone family(sandbox, "leave");
    sandbox.run({"wait", family.parent});
    CHECK(sandbox.show(family.child).at("status") == "running");
    family.go.go();
    sandbox.run({"wait", family.child});
    CHECK(sandbox.show(family.child).at("cancel") == nullptr);
}

TEST_CASE("a child that comes while its parent is being cancelled is cancelled too") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string parent = sandbox.detach(
        {"-n", "outer", "--grace", "1h"},
        {"sh", "-c",
         "trap '' TERM; echo up > " + up.path() + "; read go < " + go.path() + "; " +
             from_nowhere(sandbox, "run -d -n inner --grace 1h -- sh -c 'trap - TERM; sleep 1000'") +
             "; exec " + Sandbox::fixture("deaf") + " " + up.path()});
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", "--no-wait", parent}).status == 0);
    go.go();
    wait_until("the child's end", [&] {
        const Json inner = sandbox.list({"--all", "inner"});
        return inner.size() == 1 && inner.at(0).at("status") == "cancelled";
    });
    CHECK(sandbox.list({"--all", "inner"}).at(0).at("cancel").at("reason") == "parent");
    CHECK(sandbox.show(parent).at("status") == "cancelling");
    CHECK(sandbox.run({"cancel", "--now", parent}).status == 0);
    CHECK(sandbox.strangers() == std::vector<pid_t>{});
}

TEST_CASE("nobody becomes the child of an operation that has ended") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"true"});
    sandbox.run({"wait", id});
    const Finished refused = sandbox.run({"run", "--parent", id, "true"});
    CHECK(refused.status == 1);
    CHECK(refused.err.find("has ended") != std::string::npos);
}

TEST_CASE("a parent that ended while nobody watched takes its children along once somebody does") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    sandbox.detach({"-n", "outer"}, {"sh", "-c",
                                     Sandbox::program() + " run -d -n inner -- " + stayer(up) +
                                         " >/dev/null; read go < " + go.path()});
    up.wait_for_line();
    const std::string child = sandbox.list({"inner"}).at(0).at("id").dump();
    const Witness tree = sandbox.tree();
    sandbox.kill_supervisor();
    go.go();
    wait_until("the parent's end", [&] { return sandbox.shims().size() == 1; });
    sandbox.run({"wait", child});
    CHECK(sandbox.show(child).at("status") == "cancelled");
    CHECK(sandbox.show(child).at("cancel").at("reason") == "parent");
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
