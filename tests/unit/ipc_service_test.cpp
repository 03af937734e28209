#include "ipc/service.h"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <set>

#include "service_fixture.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using nlohmann::json;

using Fixture = ServiceFixture;

namespace {

std::vector<OperationId> ids_of(const json& answer) {
    std::vector<OperationId> ids;
    for (const json& operation : answer["result"]["operations"])
        ids.push_back(operation["id"].get<OperationId>());
    return ids;
}

using Ids = std::vector<OperationId>;

// The methods that share/doc/protocol.md has a section for, and its examples of requests.
struct ProtocolPage {
    ProtocolPage() {
        std::ifstream file(CANCELABLE_PROTOCOL_PAGE);
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("### ")) methods.push_back(line.substr(4));
            const json example = json::parse(line, nullptr, false);
            if (example.is_object() && example.contains("method") && example.contains("id"))
                requests.push_back(example);
        }
    }
    std::vector<std::string> methods;
    std::vector<json> requests;
};

}  // namespace

TEST_CASE("hello says who answers") {
    Fixture fixture;
    const json hello = fixture.call("supervisor.hello")["result"];
    CHECK(hello["protocol"] == 1);
    CHECK(hello["pid"] == ::getpid());
    CHECK(hello["socket"] == fixture.path);
    CHECK(hello["version"].is_string());
    const json status = fixture.call("supervisor.status")["result"];
    CHECK(status["live"] == 0);
    CHECK(status["log"] == "/state/supervisor.log");
    CHECK(status["rss"].get<std::uint64_t>() > 1 << 20);
    CHECK(status["uptime"].get<double>() >= 0);
}

TEST_CASE("an unknown method and an unknown parameter are named") {
    Fixture fixture;
    const json method = fixture.call("operation.rum")["error"];
    CHECK(method["code"] == -32601);
    CHECK(method["message"] == "unknown method \"operation.rum\"");
    for (const char* name :
         {"events.subscribe", "events.unsubscribe", "operation.run", "operation.list", "operation.show",
          "operation.cancel", "operation.signal", "operation.wait", "operation.current", "operation.progress",
          "operation.result", "stats.get", "supervisor.hello", "supervisor.status", "supervisor.stop"}) {
        CAPTURE(name);
        const json error = fixture.call(name, {{"command", {"x"}},
                                               {"id", 1},
                                               {"signal", "TERM"},
                                               {"subscription", 1},
                                               {"fraction", 1},
                                               {"result", ""},
                                               {"zzz", 1}})["error"];
        CHECK(error["code"] == -32602);
        CHECK(error["message"].get<std::string>().find("unknown parameter") != std::string::npos);
    }
    CHECK(fixture.call("operation.list", {{"zzz", 1}})["error"]["message"] ==
          "unknown parameter \"zzz\" of operation.list");
}

TEST_CASE("a cancelation by pattern is one request, and answers when all that match are gone") {
    Fixture fixture;
    Ids matching;
    for (int i = 0; i < 20; ++i) {
        const OperationId id = fixture.run(i % 4 == 0 ? "user_42_" + std::to_string(i) : "other");
        if (i % 4 == 0) matching.push_back(id);
    }
    fixture.ask(
        "operation.cancel",
        {{"selector", {{"globs", {"user_42_*"}}}}, {"message", "enough"}, {"wait", true}, {"signal", "INT"}},
        1);
    REQUIRE(fixture.operations.cancel_requests.size() == 1);
    const CancelRequest& request = fixture.operations.cancel_requests[0];
    CHECK(request.by == Requester{::geteuid(), ::getpid()});
    CHECK(request.message == "enough");
    CHECK(request.signal == SIGINT);
    for (const OperationId id : matching) {
        CHECK(fixture.peer.next().is_null());
        fixture.operations.end(id, Status::cancelled);
    }
    CHECK(ids_of(fixture.peer.await(fixture.loop)) == matching);
    CHECK(fixture.operations.registry().live_count() == 15);
    fixture.loop.run_once(false);
    CHECK(fixture.service.pending() == 0);
}

TEST_CASE("a cancelation that does not wait answers at once, and a dry one touches nothing") {
    Fixture fixture;
    const OperationId id = fixture.run("a");
    const json dry = fixture.call("operation.cancel", {{"selector", {{"all", true}}}, {"dry_run", true}});
    CHECK(ids_of(dry) == Ids{id});
    CHECK(fixture.operations.cancel_requests.empty());
    const json asked = fixture.call("operation.cancel", {{"selector", {{"all", true}}}, {"wait", false}});
    CHECK(ids_of(asked) == Ids{id});
    CHECK(asked["result"]["operations"][0]["status"] == "cancelling");
    CHECK(fixture.service.pending() == 0);
}

TEST_CASE("a cancelation of nothing is an error that says what it is") {
    Fixture fixture;
    const auto error = [&](const json& selector, const char* method = "operation.cancel") {
        return fixture.call(method, {{"selector", selector}})["error"];
    };
    CHECK(error(json::object())["code"] == -32602);
    CHECK(fixture.call("operation.cancel")["error"]["code"] == -32602);
    CHECK(fixture.operations.cancel_requests.empty());
    CHECK(error({{"ids", {7}}})["code"] == -32001);
    CHECK(error({{"ids", {7}}})["message"] == "there is no operation 7");
    CHECK(error({{"globs", {"x*"}}})["message"] == "no live operation matches");
    CHECK(error({{"globs", {"x*"}}}, "operation.wait")["message"] == "no operation matches");
    CHECK(error(json::object(), "operation.wait")["code"] == -32602);
    const OperationId id = fixture.run("a");
    fixture.operations.end(id, Status::completed);
    CHECK(error({{"ids", {id}}})["message"] == "operation 1 has ended already");
}

TEST_CASE("wait answers when all have ended, with those that had before") {
    Fixture fixture;
    const OperationId a = fixture.run("a");
    const OperationId b = fixture.run("b");
    fixture.operations.end(a, Status::failed);
    fixture.ask("operation.wait", {{"selector", {{"ids", {a, b}}}}}, 1);
    CHECK(fixture.peer.next().is_null());
    fixture.operations.end(b, Status::completed);
    const json answer = fixture.peer.await(fixture.loop);
    CHECK(ids_of(answer) == Ids{a, b});
    CHECK(answer["result"]["timed_out"] == false);
    CHECK(ids_of(fixture.call("operation.wait", {{"selector", {{"ids", {a, b}}}}})) == Ids{a, b});
}

TEST_CASE("wait for any answers with the first") {
    Fixture fixture;
    const OperationId a = fixture.run("a");
    const OperationId b = fixture.run("b");
    fixture.ask("operation.wait", {{"selector", {{"all", true}}}, {"any", true}}, 1);
    fixture.operations.end(b, Status::completed);
    CHECK(ids_of(fixture.peer.await(fixture.loop)) == Ids{b});
    CHECK(ids_of(fixture.call("operation.wait", {{"selector", {{"all", true}}}, {"any", true}})) == Ids{b});
    // The other one ends when nobody waits for it any more.
    CHECK(run_until(fixture.loop, [&] { return fixture.operations.waiting_callbacks() == 0; }));
    fixture.operations.end(a, Status::completed);
    CHECK(fixture.call("supervisor.hello").contains("result"));
}

TEST_CASE("wait gives up when its time is over, and says so") {
    Fixture fixture;
    const OperationId a = fixture.run("a");
    const OperationId b = fixture.run("b");
    fixture.operations.end(b, Status::completed);
    const json answer = fixture.call("operation.wait", {{"selector", {{"ids", {a, b}}}}, {"timeout", 0.01}});
    CHECK(answer["result"]["timed_out"] == true);
    CHECK(ids_of(answer) == Ids{b});
    CHECK(run_until(fixture.loop, [&] { return fixture.operations.waiting_callbacks() == 0; }));
    fixture.operations.end(a, Status::completed);
}

TEST_CASE("whatever is owed to a connection is forgotten with it") {
    Fixture fixture;
    const OperationId id = fixture.run("a", {{"watch", true}});
    const std::uint64_t revision = fixture.call("operation.list")["result"]["revision"].get<std::uint64_t>();
    fixture.ask("operation.wait", {{"selector", {{"ids", {id}}}}}, 2);
    fixture.ask("operation.cancel", {{"selector", {{"ids", {id}}}}, {"wait", true}}, 3);
    const std::uint64_t newer = revision + 1000;
    fixture.ask("operation.list", {{"after", newer}}, 4);
    CHECK(fixture.operations.waiting_callbacks() == 3);
    fixture.peer.close();
    CHECK(run_until(fixture.loop, [&] { return fixture.server.connections() == 0; }));
    CHECK(fixture.service.pending() == 0);
    CHECK(fixture.operations.waiting_callbacks() == 0);
    fixture.operations.end(id, Status::cancelled);
    RawPeer other(fixture.path);
    CHECK(fixture.call(other, "supervisor.hello", json::object()).contains("result"));
}

TEST_CASE("list gives the live ones, or all, in order, and the last ones up to the limit") {
    Fixture fixture;
    const OperationId a = fixture.run("a", {{"key", "mine"}});
    const OperationId b = fixture.run("b", {{"tags", {{"k", "v"}}}});
    const OperationId c = fixture.run("c");
    fixture.operations.end(a, Status::completed);
    CHECK(ids_of(fixture.call("operation.list")) == Ids{b, c});
    CHECK(ids_of(fixture.call("operation.list", {{"all", true}})) == Ids{a, b, c});
    CHECK(ids_of(fixture.call("operation.list", {{"all", true}, {"limit", 2}})) == Ids{b, c});
    CHECK(ids_of(fixture.call("operation.list", {{"selector", {{"tags", {{"k", "v"}}}}}})) == Ids{b});
    CHECK(ids_of(fixture.call("operation.list", {{"all", true}, {"key", "mine"}})) == Ids{a});
    CHECK(ids_of(fixture.call("operation.list", {{"all", true}, {"key", "mine"}, {"limit", 0}})) == Ids{});
    CHECK(ids_of(fixture.call("operation.list", {{"selector", {{"ids", {99}}}}})) == Ids{});
}

TEST_CASE("list with a revision answers only once something has changed") {
    Fixture fixture;
    const OperationId id = fixture.run("a");
    const json first = fixture.call("operation.list", {{"after", 0}});
    CHECK(ids_of(first) == Ids{id});
    const auto revision = first["result"]["revision"].get<std::uint64_t>();
    fixture.ask("operation.list", {{"after", revision}, {"all", true}}, 1);
    CHECK(fixture.peer.next().is_null());
    fixture.operations.end(id, Status::completed);
    const json second = fixture.peer.await(fixture.loop);
    CHECK(second["result"]["revision"].get<std::uint64_t>() > revision);
    CHECK(second["result"]["operations"][0]["status"] == "completed");
    CHECK(fixture.service.pending() == 0);
}

TEST_CASE("a pause and a resume are answered when they are done, or at once where nobody waits") {
    Fixture fixture;
    const OperationId id = fixture.run("a");
    fixture.peer.request(++fixture.last_id, "operation.pause", {{"selector", {{"ids", {id}}}}});
    REQUIRE(run_until(fixture.loop, [&] { return fixture.operations.pause_done != nullptr; }));
    fixture.operations.pause_done();
    const json paused = fixture.peer.await(fixture.loop);
    CHECK(paused["result"]["operations"][0]["status"] == "paused");
    const json resumed =
        fixture.call("operation.resume", {{"selector", {{"globs", {"a"}}}}, {"wait", false}});
    CHECK(resumed["result"]["operations"][0]["status"] == "running");
    CHECK(fixture.call("operation.pause")["error"]["code"] == -32602);
    CHECK(fixture.call("operation.pause", {{"selector", {{"ids", {99}}}}})["error"]["code"] == -32001);
    CHECK(fixture.call("operation.resume",
                       {{"selector", {{"ids", {99}}}}, {"wait", false}})["error"]["code"] == -32001);
}

TEST_CASE("a signal goes to all that a selector picks, and to their trees where that is asked for") {
    Fixture fixture;
    const OperationId a = fixture.run("a1");
    const OperationId b = fixture.run("a2");
    const json answer = fixture.call(
        "operation.signal", {{"selector", {{"globs", {"a*"}}}}, {"signal", "RTMIN+1"}, {"tree", true}});
    CHECK(ids_of(answer) == Ids{a, b});
    CHECK(fixture.operations.signals.back() == std::pair(b, SIGRTMIN + 1));
    CHECK(fixture.operations.signal_was_for_tree);
    CHECK(fixture.call("operation.signal", {{"signal", "TERM"}})["error"]["code"] == -32602);
}

TEST_CASE("show, signal and current find their operation or say that there is none") {
    Fixture fixture;
    const OperationId id = fixture.run("a");
    CHECK(fixture.call("operation.show", {{"id", id}})["result"]["name"] == "a");
    CHECK(fixture.call("operation.show", {{"id", 99}})["error"]["message"] == "there is no operation 99");
    CHECK(fixture.call("operation.show", {{"id", 99}})["error"]["code"] == -32001);
    CHECK(ids_of(fixture.call("operation.signal", {{"id", id}, {"signal", "USR1"}})) == Ids{id});
    CHECK_FALSE(fixture.operations.signal_was_for_tree);
    CHECK(fixture.operations.signals == std::vector<std::pair<OperationId, int>>{{id, SIGUSR1}});
    CHECK(fixture.call("operation.signal", {{"id", 99}, {"signal", 10}})["error"]["code"] == -32001);
    CHECK(fixture.call("operation.current", {{"operation_id", id}})["result"]["id"] == id);
    CHECK(fixture.call("operation.current")["result"].is_null());
    // What the kernel says counts more.
    fixture.operations.surrounding = fixture.run("around");
    CHECK(fixture.call("operation.current", {{"operation_id", id}})["result"]["name"] == "around");
    fixture.operations.surrounding = 0;
    CHECK(fixture.call("operation.current", {{"operation_id", 99}})["result"].is_null());
}

TEST_CASE("statistics name their supervisor") {
    Fixture fixture;
    fixture.run("a");
    const json stats = fixture.call("stats.get")["result"];
    CHECK(stats["active_operations"] == 1);
    CHECK(stats["supervisor"]["socket"] == fixture.path);
}

TEST_CASE("stop refuses while operations are live, and says how many") {
    Fixture fixture;
    fixture.run("a");
    fixture.run("b");
    const json error = fixture.call("supervisor.stop")["error"];
    CHECK(error["code"] == -32002);
    CHECK(error["data"]["live"] == 2);
    CHECK(error["data"]["kind"] == "refused");
    fixture.loop.run_once(false);
    CHECK(fixture.stops.empty());
    CHECK(fixture.run("c") == 3);
}

TEST_CASE("stop with nothing live, or keeping what is, answers and then stops") {
    Fixture fixture;
    if (fixture.run("a") == 1)
        CHECK(fixture.call("supervisor.stop", {{"mode", "keep"}})["result"]["cancelled"] == 0);
    CHECK(run_until(fixture.loop, [&] { return !fixture.stops.empty(); }));
    CHECK(fixture.stops == std::vector{StopParams::Mode::keep});
    CHECK(fixture.operations.registry().live_count() == 1);
    const json refused = fixture.call("operation.run", {{"command", {"x"}}, {"cwd", "/"}})["error"];
    CHECK(refused["message"] == "the supervisor is stopping and starts nothing more");
}

TEST_CASE("stop that cancels answers when all are gone, and stops although the one who asked has left") {
    Fixture fixture;
    const OperationId id = fixture.run("a");
    fixture.ask("supervisor.stop", {{"mode", "cancel"}}, 1);
    REQUIRE(fixture.operations.cancel_requests.size() == 1);
    CHECK(fixture.operations.cancel_requests[0].reason == CancelationReason::shutdown);
    SUBCASE("stays") {
        fixture.operations.end(id, Status::cancelled);
        CHECK(fixture.peer.await(fixture.loop)["result"]["cancelled"] == 1);
    }
    SUBCASE("leaves") {
        fixture.peer.close();
        CHECK(run_until(fixture.loop, [&] { return fixture.server.connections() == 0; }));
        CHECK(fixture.stops.empty());
        fixture.operations.end(id, Status::cancelled);
    }
    CHECK(run_until(fixture.loop, [&] { return !fixture.stops.empty(); }));
    CHECK(fixture.stops == std::vector{StopParams::Mode::cancel});
}

TEST_CASE("a shield hands the engine its socket, and nothing else will do") {
    Fixture fixture;
    const OperationId id = fixture.run("train");
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const UniqueFd ours(pair[0]);
    const UniqueFd theirs(pair[1]);
    const UniqueFd file = anonymous_file();
    const auto ask = [&](const json& params, std::vector<int> descriptors) {
        const json request{{"jsonrpc", "2.0"}, {"id", 7}, {"method", "operation.shield"}, {"params", params}};
        fixture.peer.send(request.dump() + "\n", std::move(descriptors));
        return fixture.peer.await(fixture.loop);
    };
    const json good{{"descriptors", {"shield"}}, {"limit", 2.5}, {"operation_id", id}};
    CHECK(ask(good, {theirs.get()})["result"]["id"] == id);
    REQUIRE(fixture.operations.shields.size() == 1);
    CHECK(fixture.operations.shields[0].id == id);
    CHECK(fixture.operations.shields[0].limit == std::chrono::milliseconds(2500));
    CHECK(ask(good, {file.get()})["error"]["code"] == -32602);
    CHECK(ask({{"operation_id", id}}, {})["error"]["code"] == -32602);
    CHECK(ask({{"descriptors", {"stdin"}}, {"operation_id", id}}, {theirs.get()})["error"]["code"] == -32602);
    CHECK(ask({{"descriptors", {"shield"}}}, {theirs.get()})["error"]["message"] ==
          "this is not part of an operation");
    CHECK(fixture.operations.shields.size() == 1);
}

TEST_CASE("a result comes back byte for byte from show, and from nothing else") {
    Fixture fixture;
    const OperationId id = fixture.run("train");
    CHECK(fixture.call("operation.show", {{"id", id}})["result"]["result"].is_null());
    for (const json& result : {json("text"), json(""), json("a\u0000b"), json{{"base64", "AP8="}}}) {
        CHECK_FALSE(
            fixture.call("operation.result", {{"result", result}, {"operation_id", id}}).contains("error"));
        CHECK(fixture.call("operation.show", {{"id", id}})["result"]["result"] == result);
    }
    CHECK_FALSE(fixture.call("operation.list")["result"]["operations"][0].contains("result"));
    CHECK(fixture.call("operation.result", {{"result", 5}, {"operation_id", id}})["error"]["code"] == -32602);
    CHECK(fixture.call("operation.result",
                       {{"result", {{"base64", "?"}}}, {"operation_id", id}})["error"]["code"] == -32602);
}

TEST_CASE("progress and result of nobody's operation are refused") {
    Fixture fixture;
    for (const json& params : {json{{"fraction", 0.5}}, json{{"fraction", 0.5}, {"operation_id", 77}}})
        CHECK(fixture.call("operation.progress", params)["error"]["message"] ==
              "this is not part of an operation");
    CHECK(fixture.call("operation.result", {{"result", ""}})["error"]["code"] == -32001);
    for (const json& fraction : {json(-0.1), json(1.1), json("40%"), json(nullptr)})
        CHECK(fixture.call("operation.progress", {{"fraction", fraction}})["error"]["code"] == -32602);
}

TEST_CASE("the page on the protocol has every method, and examples that are understood") {
    const ProtocolPage page;
    const std::set<std::string> documented(page.methods.begin(), page.methods.end());
    CHECK(documented ==
          std::set<std::string>{"operation.shield", "operation.pause", "operation.resume", "events.subscribe",
                                "events.unsubscribe", "operation.cancel", "operation.current",
                                "operation.list", "operation.progress", "operation.result", "operation.run",
                                "operation.show", "operation.signal", "operation.wait", "history.prune",
                                "stats.get", "supervisor.hello", "supervisor.status", "supervisor.stop"});
    std::set<std::string> shown;
    for (const json& example : page.requests) {
        CAPTURE(example.dump());
        const auto method = example["method"].get<std::string>();
        shown.insert(method);
        // A supervisor of its own for each: one of them is told to stop.
        Fixture fixture;
        const OperationId id = fixture.run("user_42_a");
        fixture.operations.end(id, Status::completed);
        const json params = example.value("params", json::object());
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        const UniqueFd ours(pair[0]);
        const UniqueFd theirs(pair[1]);
        if (params.contains("descriptors")) {
            fixture.peer.send(example.dump() + "\n", {theirs.get()});
            CHECK(fixture.peer.await(fixture.loop)["error"]["code"] == -32001);
            continue;
        }
        const json answer = fixture.call(method, params);
        if (!answer.contains("error")) continue;
        // Whether the operation of the example exists is another matter.
        // Whether there is a history to be pruned, likewise.
        CHECK((answer["error"]["code"] == -32001 || answer["error"]["code"] == -32004 ||
               method == "history.prune"));
    }
    CHECK(shown == documented);
}
