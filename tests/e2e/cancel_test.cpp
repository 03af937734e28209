// The verb cancel and the selectors.
#include <doctest/doctest.h>

#include <set>

#include "tests/e2e/counting_proxy.h"
#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

std::set<std::string> live_names(Sandbox& sandbox, const Words& selectors = {}) {
    std::set<std::string> names;
    for (const Json& operation : sandbox.list(selectors))
        names.insert(operation.at("name").get<std::string>());
    return names;
}

using Names = std::set<std::string>;

}  // namespace

TEST_SUITE_BEGIN("cancel");

TEST_CASE("a pattern over 200 running operations ends exactly those that match and in one request") {
    Sandbox sandbox;
    // Started by one shell, so that the test does not spend its time on starting clients one after the other.
    std::string script;
    for (int i = 0; i < 200; ++i)
        script += Sandbox::program() + " run -d --no-log --grace 1h -n user_" +
                  (i % 4 == 0 ? "42" : std::to_string(i % 4)) + "_" + std::to_string(i) +
                  " sleep 1000 >/dev/null || exit 1\n";
    Child starter = Child::spawn({"/bin/sh", "-c", script}, sandbox.options());
    const Finished started = starter.wait();
    REQUIRE_MESSAGE(started.status == 0, started.err);
    REQUIRE(live_names(sandbox).size() == 200);
    wait_until("all of them to run",
               [&] { return live_names(sandbox, {"--status", "running"}).size() == 200; });

    std::vector<pid_t> matching;
    std::vector<pid_t> others;
    for (const Json& operation : sandbox.json({"list", "--json"}))
        (operation.at("name").get<std::string>().starts_with("user_42_") ? matching : others)
            .push_back(operation.at("pid").get<pid_t>());
    REQUIRE(matching.size() == 50);
    const Witness gone(matching);
    const Witness kept(others);

    sandbox.make_directory("proxy", 0700);
    CountingProxy proxy(sandbox.path("proxy/socket"), sandbox.socket());
    Child client = sandbox.start({"--socket", sandbox.path("proxy/socket"), "cancel", "user_42_*"});
    proxy.serve(client);
    CHECK(gone.alive() == std::vector<pid_t>{});
    CHECK(kept.alive().size() == 150);
    const Finished finished = client.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(std::count(finished.out.begin(), finished.out.end(), '\n') >= 50);
    CHECK(proxy.requests().at("operation.cancel") == 1);
    for (const auto& [method, times] : proxy.requests()) {
        CAPTURE(method);
        CHECK(times == 1);
        CHECK((method == "operation.cancel" || method == "supervisor.hello"));
    }
    CHECK(live_names(sandbox).size() == 150);
    CHECK(live_names(sandbox, {"user_42_*"}).empty());
}

TEST_CASE("cancel says per operation what it took") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        sandbox.detach({"-n", "stubborn", "--grace", "200ms"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Finished finished = sandbox.run({"cancel", id});
    CHECK(finished.status == 0);
    for (const std::string& part : {id, std::string("stubborn"), std::string("TERM"), std::string("KILL"),
                                    std::string("4"), std::string("ms")})
        CHECK_MESSAGE(finished.out.find(part) != std::string::npos, finished.out);
    const Json record = sandbox.show(id).at("cancel");
    CHECK(record.at("processes") == 4);
    CHECK(record.at("signals") == Json::array({"SIGTERM", "SIGKILL"}));
}

TEST_CASE("cancel records message and who asked") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    const Json answer = sandbox.json({"cancel", id, "-m", "not needed any more", "--json"});
    REQUIRE(answer.size() == 1);
    CHECK(answer.at(0).at("status") == "cancelled");
    const Json cancel = sandbox.show(id).at("cancel");
    CHECK(cancel.at("reason") == "manual");
    CHECK(cancel.at("message") == "not needed any more");
    CHECK(cancel.at("by").at("uid") == test_user());
    CHECK(cancel.at("by").at("pid").get<pid_t>() > 0);
    CHECK(cancel.at("requested_at").get<std::string>() <= cancel.at("gone_at").get<std::string>());
}

TEST_CASE("the first cancelation wins and a later one can only hurry it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"cancel", id, "--no-wait", "-m", "first"}).status == 0);
    CHECK(sandbox.show(id).at("status") == "cancelling");
    CHECK(tree.alive().size() == tree.size());
    CHECK(sandbox.run({"cancel", id, "--now", "-m", "second"}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
    const Json cancel = sandbox.show(id).at("cancel");
    CHECK(cancel.at("message") == "first");
    CHECK(cancel.at("signals") == Json::array({"SIGTERM", "SIGKILL"}));
}

TEST_CASE("what a command starts when it is asked to end, and leaves behind, is asked too") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo left = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"--grace", "1h"}, {"sh", "-c",
                            "trap 'sh -c \"echo left; sleep 1000\" >\"$2\" & read x <\"$2\"; exit 5' TERM; "
                            "echo up >\"$1\"; while :; do sleep 0.05; done",
                            "sh", up.path(), left.path()});
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGTERM"}));
}

TEST_CASE("cancel --grace shortens the time") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"cancel", id, "--grace", "100ms"}).status == 0);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGTERM", "SIGKILL"}));
}

TEST_CASE("several clients may wait for one cancelation") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"--grace", "300ms"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    std::vector<Child> clients;
    for (int i = 0; i < 5; ++i)
        clients.push_back(sandbox.start({"cancel", id}));
    for (Child& client : clients) {
        // The last ones may come when it is over: then there is nothing to match.
        const int status = client.wait().status;
        CHECK((status == 0 || status == 1));
        CHECK(tree.all_gone());
    }
}

TEST_CASE("cancel --dry-run tells what it would do and touches nothing") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({"-n", "safe"}, {"sleep", "1000"});
    const Finished finished = sandbox.run({"cancel", "safe", "--dry-run"});
    CHECK(finished.status == 0);
    CHECK(finished.out.find("safe") != std::string::npos);
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.show(id).at("cancel") == nullptr);
}

TEST_CASE("cancel without a selector is a usage error and touches nothing") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    const Finished finished = sandbox.run({"cancel"});
    CHECK(finished.status == 2);
    CHECK(finished.err.find("--all") != std::string::npos);
    CHECK(sandbox.run({"cancel", "--now"}).status == 2);
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
    CHECK(sandbox.show(id).at("status") == "cancelled");
}

TEST_CASE("cancel that matches nothing exits 1 and says so") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({"-n", "other"}, {"sleep", "1000"});
    for (const Words& selector :
         {Words{"nothing_*"}, Words{"999999"}, Words{"--tag", "a=b"}, Words{id, "--name", "x*"}}) {
        Words arguments{"cancel"};
        arguments.insert(arguments.end(), selector.begin(), selector.end());
        const Finished finished = sandbox.run(arguments);
        CHECK(finished.status == 1);
        CHECK(finished.out == "");
        CHECK(finished.err != "");
    }
    CHECK(sandbox.show(id).at("status") == "running");
}

TEST_CASE("stop and kill are other names of cancel") {
    Sandbox sandbox;
    for (const char* verb : {"stop", "kill"}) {
        const std::string id = sandbox.detach({}, {"sleep", "1000"});
        CHECK(sandbox.run({verb, id}).status == 0);
        CHECK(sandbox.show(id).at("status") == "cancelled");
    }
}

TEST_CASE("positionals are any of and options narrow") {
    Sandbox sandbox;
    const std::string a =
        sandbox.detach({"-n", "web_1", "--tag", "env=prod", "--tag", "team=x"}, {"sleep", "1000"});
    sandbox.detach({"-n", "web_2", "--tag", "env=test"}, {"sleep", "1000"});
    sandbox.detach({"-n", "db", "--tag", "env=prod"}, {"sleep", "1000"});
    const std::string child = sandbox.detach({"-n", "child", "--parent", a}, {"sleep", "1000"});

    CHECK(live_names(sandbox) == Names{"web_1", "web_2", "db", "child"});
    CHECK(live_names(sandbox, {"web_*"}) == Names{"web_1", "web_2"});
    CHECK(live_names(sandbox, {"db", a}) == Names{"db", "web_1"});
    CHECK(live_names(sandbox, {"--name", "web_?"}) == Names{"web_1", "web_2"});
    CHECK(live_names(sandbox, {"web_[2-9]"}) == Names{"web_2"});
    CHECK(live_names(sandbox, {"--tag", "env=prod"}) == Names{"web_1", "db"});
    CHECK(live_names(sandbox, {"--tag", "env=prod", "--tag", "team=x"}) == Names{"web_1"});
    CHECK(live_names(sandbox, {"web_*", "--tag", "env=test"}) == Names{"web_2"});
    CHECK(live_names(sandbox, {"--parent", a}) == Names{"child"});
    CHECK(live_names(sandbox, {"--status", "running"}).size() == 4);
    CHECK(live_names(sandbox, {"--status", "paused"}).empty());
    CHECK(live_names(sandbox, {"--newer-than", "1h"}).size() == 4);
    CHECK(live_names(sandbox, {"--older-than", "1h"}).empty());
    CHECK(sandbox.show(child).at("parent").dump() == a);

    CHECK(sandbox.run({"cancel", "--all", "--tag", "env=prod"}).status == 0);
    // The child goes with its parent.
    CHECK(sandbox.run({"wait", child}).status == 143);
    CHECK(live_names(sandbox) == Names{"web_2"});
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
