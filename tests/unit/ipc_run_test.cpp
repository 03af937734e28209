// operation.run, from the request to what the engine gets and what the client is told.
#include <doctest/doctest.h>

#include <csignal>

#include "engine/shim/slots.h"
#include "service_fixture.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;

using Fixture = ServiceFixture;

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

TEST_CASE("a slot that has to be waited for comes as its pipes") {
    Fixture fixture;
    const UniqueFd slots = make_slots(1).value();
    const Pipe front = make_pipe().value();
    const Pipe behind = make_pipe().value();
    const json request{
        {"jsonrpc", "2.0"},
        {"id", 1},
        {"method", "operation.run"},
        {"params", {{"descriptors", {"slots", "turn", "next_turn"}}, {"command", {"x"}}, {"cwd", "/"}}}};
    fixture.peer.send(request.dump() + "\n", {slots.get(), front.read_end.get(), behind.write_end.get()});
    REQUIRE(fixture.peer.await(fixture.loop).contains("result"));
    const RunRequest& run = *fixture.operations.last_request;
    CHECK(inode_of(run.slots.get()) == inode_of(slots.get()));
    CHECK(inode_of(run.turn.get()) == inode_of(front.read_end.get()));
    CHECK(inode_of(run.next_turn.get()) == inode_of(behind.write_end.get()));
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
    for (const char* name : {"cwd", "lifeline", "slots", "turn"}) {
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
