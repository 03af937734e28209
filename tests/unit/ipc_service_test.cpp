#include "ipc/service.h"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <set>

#include "fake_operations.h"
#include "ipc/server.h"
#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using nlohmann::json;

namespace {

struct Fixture {
    Fixture()
        : path(directory.file("socket")),
          service(loop, operations,
                  {path, "/state/supervisor.log", [this](StopParams::Mode mode) { stops.push_back(mode); }}),
          server(loop, listen_at(path).value(), service, {}),
          peer(path) {}

    // One request and its answer, both through the socket.
    json call(const std::string& method, const json& params = json::object()) {
        return call(peer, method, params);
    }
    json call(RawPeer& by, const std::string& method, const json& params) {
        by.request(++last_id, method, params);
        const json answer = by.await(loop);
        CHECK(answer["id"] == last_id);
        return answer;
    }

    OperationId run(const std::string& name, json params = json::object()) {
        params["command"] = {"sleep"};
        params["name"] = name;
        params["cwd"] = "/";
        return call("operation.run", params)["result"]["id"].get<OperationId>();
    }

    // Asks for what is answered later, and turns the loop until the service owes so many answers.
    void ask(const std::string& method, const json& params, std::size_t pending) {
        peer.request(++last_id, method, params);
        CHECK(run_until(loop, [&] { return service.pending() == pending; }));
    }

    TemporaryDirectory directory;
    std::string path;
    Loop loop;
    FakeOperations operations;
    std::vector<StopParams::Mode> stops;
    Service service;
    Server server;
    RawPeer peer;
    int last_id = 0;
};

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

TEST_CASE("run hands the engine what was asked for, with each descriptor in its place") {
    Fixture fixture;
    const UniqueFd out = anonymous_file();
    const UniqueFd cwd = std::move(*open_file("/tmp", O_PATH | O_DIRECTORY));
    const Pipe lifeline = make_pipe().value();
    const json request{{"jsonrpc", "2.0"},
                       {"id", 1},
                       {"method", "operation.run"},
                       {"params",
                        {{"descriptors", {"stdout", "cwd", "lifeline"}},
                         {"command", {"make", "all"}},
                         {"environment", {"A=b"}},
                         {"log", true}}}};
    fixture.peer.send(request.dump() + "\n", {out.get(), cwd.get(), lifeline.read_end.get()});
    const json operation = fixture.peer.await(fixture.loop)["result"];
    CHECK(operation["name"] == "make");
    CHECK(operation["status"] == "running");
    CHECK(operation["command"] == json{"make", "all"});
    REQUIRE(fixture.operations.last_request);
    const RunRequest& run = *fixture.operations.last_request;
    CHECK(run.launch.environment == std::vector<std::string>{"A=b"});
    CHECK(run.want_log);
    CHECK_FALSE(run.stdio[0]);
    CHECK(inode_of(run.stdio[1].get()) == inode_of(out.get()));
    CHECK_FALSE(run.stdio[2]);
    CHECK(inode_of(run.cwd.get()) == inode_of(cwd.get()));
    CHECK(inode_of(run.lifeline.get()) == inode_of(lifeline.read_end.get()));
}

TEST_CASE("run without a descriptor of its directory opens the path, and refuses what is none") {
    Fixture fixture;
    json params{{"command", {"true"}}, {"cwd", "/tmp"}};
    CHECK(fixture.call("operation.run", params).contains("result"));
    CHECK(inode_of(fixture.operations.last_request->cwd.get()) == inode_of(open_file("/tmp", O_PATH)->get()));
    params["cwd"] = "tmp";
    CHECK(fixture.call("operation.run", params)["error"]["code"] == -32602);
    params["cwd"] = "/does/not/exist";
    const json missing = fixture.call("operation.run", params)["error"];
    CHECK(missing["code"] == -32004);
    CHECK(missing["message"] == "cannot open \"/does/not/exist\": no such file or directory");
}

TEST_CASE("descriptors that are not what they are passed as are refused and closed") {
    Fixture fixture;
    const UniqueFd file = anonymous_file();
    REQUIRE(fixture.call("supervisor.hello").contains("result"));
    const std::size_t before = open_descriptors();
    for (const char* name : {"cwd", "lifeline"}) {
        const json request{{"jsonrpc", "2.0"},
                           {"id", 1},
                           {"method", "operation.run"},
                           {"params", {{"descriptors", {name}}, {"command", {"x"}}, {"cwd", "/"}}}};
        fixture.peer.send(request.dump() + "\n", {file.get()});
        CHECK(fixture.peer.await(fixture.loop)["error"]["code"] == -32602);
    }
    CHECK(open_descriptors() == before);
    CHECK_FALSE(fixture.operations.last_request);
}

TEST_CASE("a run that nobody watches is answered once its command runs") {
    Fixture fixture;
    fixture.operations.hold_starts = true;
    fixture.ask("operation.run", {{"command", {"sleep"}}, {"cwd", "/"}}, 1);
    fixture.operations.start(1);
    const json answer = fixture.peer.await(fixture.loop);
    CHECK(answer["result"]["status"] == "running");
    CHECK(fixture.service.pending() == 0);

    fixture.ask("operation.run", {{"command", {"sleep"}}, {"cwd", "/"}, {"watch", true}}, 1);
    CHECK(fixture.peer.await(fixture.loop)["result"]["status"] == "pending");
}

TEST_CASE("the engine's refusal reaches who asked") {
    Fixture fixture;
    fixture.operations.refuse_next = Error{ErrorCode::limit, "cannot start a shim", EAGAIN};
    const json error = fixture.call("operation.run", {{"command", {"x"}}, {"cwd", "/"}})["error"];
    CHECK(error["code"] == -32003);
    CHECK(error["data"]["kind"] == "limit");
}

TEST_CASE("a watched run is told of its end, after its answer and once") {
    Fixture fixture;
    const OperationId id = fixture.run("a", {{"watch", true}});
    CHECK(fixture.service.pending() == 1);
    fixture.operations.end(id, Status::completed);
    const json told = fixture.peer.await(fixture.loop);
    CHECK(told["method"] == "operation.ended");
    CHECK(told["params"]["operation"]["id"] == id);
    CHECK(told["params"]["operation"]["status"] == "completed");
    CHECK_FALSE(told.contains("id"));
    CHECK(fixture.call("supervisor.hello").contains("result"));
    CHECK(fixture.service.pending() == 0);
}

TEST_CASE("who wants it brief is told no more of what went well than that it did") {
    Fixture fixture;
    const json answer = fixture.call(
        "operation.run", {{"command", {"a"}}, {"cwd", "/"}, {"watch", true}, {"brief", true}})["result"];
    const auto id = answer["id"].get<OperationId>();
    CHECK(answer == json{{"id", id}, {"status", "running"}});
    fixture.operations.end(id, Status::completed);
    CHECK(fixture.peer.await(fixture.loop)["params"]["operation"] ==
          json{{"id", id}, {"status", "completed"}});
    const OperationId other = fixture.run("b", {{"watch", true}, {"brief", true}});
    fixture.operations.end(other, Status::failed);
    CHECK(fixture.peer.await(fixture.loop)["params"]["operation"].contains("exit"));
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

TEST_CASE("a run is the child of the operation that its caller is part of, unless it says otherwise") {
    Fixture fixture;
    const OperationId outer = fixture.run("outer");
    const OperationId other = fixture.run("other");
    const auto parent_of = [&](const json& params) {
        return fixture.operations.registry().get_operation(fixture.run("inner", params))->spec->parent;
    };
    fixture.operations.surrounding = outer;
    CHECK(parent_of(json::object()) == outer);
    CHECK(parent_of({{"operation_id", other}}) == outer);
    CHECK(parent_of({{"parent", other}}) == other);
    CHECK(parent_of({{"parent", "none"}, {"operation_id", other}}) == 0);
    fixture.operations.surrounding = 0;
    CHECK(parent_of({{"operation_id", other}}) == other);
    CHECK(parent_of({{"operation_id", 99}}) == 0);
    CHECK(parent_of(json::object()) == 0);
    // What an ended operation has left behind starts roots.
    fixture.operations.end(other, Status::completed);
    CHECK(parent_of({{"operation_id", other}}) == 0);
}

TEST_CASE("nothing is run in the name of a caller that is dead") {
    Fixture fixture;
    fixture.operations.surrounding = std::nullopt;
    const json params{{"command", {"true"}}, {"cwd", "/"}};
    CHECK(fixture.call("operation.run", params)["error"]["code"] == -32001);
    CHECK(fixture.operations.registry().live_count() == 0);
    json root = params;
    root["parent"] = "none";
    CHECK(fixture.call("operation.run", root)["result"]["parent"].is_null());
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

TEST_CASE("who runs an operation with progress is told of each that is published") {
    Fixture fixture;
    const OperationId id = fixture.run("train", {{"watch", true}, {"progress", true}});
    RawPeer inside(fixture.path);
    CHECK(fixture.call(inside, "operation.progress",
                       {{"fraction", 0.4}, {"text", "epoch 4/10"}, {"operation_id", id}})["result"]["id"] ==
          id);
    const json told = fixture.peer.await(fixture.loop);
    CHECK(told["method"] == "operation.progress");
    CHECK(told["params"]["id"] == id);
    CHECK(told["params"]["progress"]["fraction"] == 0.4);
    CHECK(told["params"]["progress"]["text"] == "epoch 4/10");
    // Who starts to wait is told at once how far it is.
    RawPeer waiting(fixture.path);
    waiting.request(99, "operation.wait", {{"selector", {{"ids", {id}}}}, {"progress", true}});
    CHECK(waiting.await(fixture.loop)["params"]["progress"]["fraction"] == 0.4);
    fixture.operations.end(id, Status::completed);
    CHECK(fixture.peer.await(fixture.loop)["method"] == "operation.ended");
    CHECK(waiting.await(fixture.loop)["id"] == 99);
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
