// The service with a history behind it: a real store, and a registry that has forgotten.
#include <doctest/doctest.h>

#include "engine/history.h"
#include "fake_operations.h"
#include "ipc/server.h"
#include "ipc/service.h"
#include "ipc_support.h"
#include "tests/unit/store_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using cancelable::testing::Directory;
using cancelable::testing::ended_operation;
using cancelable::testing::StoreUser;
using nlohmann::json;

namespace {

class RememberingOperations final : public FakeOperations {
public:
    void when_recorded(OperationId id, std::function<void()> done) override {
        recording.emplace_back(id, std::move(done));
    }
    History* history() noexcept override { return history_to_use; }

    History* history_to_use = nullptr;
    std::vector<std::pair<OperationId, std::function<void()>>> recording;
};

struct Fixture {
    Fixture()
        : user(state.path()),
          writer(user.loop, {}),
          history(operations.registry(), writer, user.start()),
          service(user.loop, operations, {state.path("socket"), "", {}}),
          server(user.loop, listen_at(state.path("socket")).value(), service, {}),
          peer(state.path("socket")) {
        operations.history_to_use = &history;
    }

    json call(const std::string& method, const json& params = json::object()) {
        peer.request(++last_id, method, params);
        const json answer = peer.await(user.loop);
        CHECK(answer["id"] == last_id);
        return answer;
    }

    static json run_params() { return {{"command", {"sleep"}}, {"cwd", "/"}}; }

    std::vector<int> ids(const json& answer) {
        std::vector<int> ids;
        for (const json& operation : answer["result"]["operations"])
            ids.push_back(operation["id"].get<int>());
        return ids;
    }

    Directory state;
    StoreUser user;
    RememberingOperations operations;
    HistoryWriter writer;
    History history;
    Service service;
    Server server;
    RawPeer peer;
    int last_id = 0;
};

TEST_SUITE_BEGIN("store");

TEST_CASE("what only the database knows is listed, shown and waited for like the rest") {
    Fixture fixture;
    for (OperationId id = 101; id <= 104; ++id)
        fixture.user.put(ended_operation(id, id == 103 ? Status::failed : Status::completed));
    json watched = Fixture::run_params();
    watched["watch"] = true;
    const int live = fixture.call("operation.run", watched)["result"]["id"];
    CHECK(fixture.ids(fixture.call("operation.list", {{"all", true}})) ==
          std::vector{live, 101, 102, 103, 104});
    CHECK(fixture.ids(fixture.call("operation.list", {{"all", true}, {"limit", 2}})) ==
          std::vector{103, 104});
    CHECK(fixture.ids(fixture.call("operation.list")) == std::vector{live});
    CHECK(fixture.call("operation.show", {{"id", 103}})["result"]["exit"] == json{{"code", 3}});
    CHECK(fixture.call("operation.show", {{"id", 99}})["error"]["message"] == "there is no operation 99");
    const json waited = fixture.call("operation.wait", {{"selector", {{"ids", {102, 103}}}}});
    CHECK(fixture.ids(waited) == std::vector{102, 103});
    CHECK(
        fixture.ids(fixture.call("operation.wait", {{"selector", {{"all", true}}}, {"any", true}})).size() ==
        4);
    CHECK(fixture.call("operation.wait", {{"selector", {{"ids", {99}}}}})["error"]["code"] == -32001);
    CHECK(fixture.call("operation.cancel", {{"selector", {{"ids", {102}}}}})["error"]["message"] ==
          "operation 102 has ended already");
    const json stats = fixture.call("stats.get")["result"];
    CHECK(stats["total_operations"] == 5);
    CHECK(stats["history_by_status"] == json{{"completed", 3}, {"failed", 1}});
}

TEST_CASE("statistics of those that match count each once, wherever it is known") {
    Fixture fixture;
    const auto stats = [&](const json& selector) {
        return fixture.call("stats.get", {{"selector", selector}})["result"];
    };
    for (OperationId id = 101; id <= 104; ++id)
        fixture.user.put(ended_operation(id, id == 103 ? Status::failed : Status::completed));
    json watched = Fixture::run_params();
    watched["watch"] = true;
    watched["name"] = "here";
    const OperationId live = fixture.call("operation.run", watched)["result"]["id"];
    const OperationId ended = fixture.call("operation.run", watched)["result"]["id"];
    fixture.operations.end(ended, Status::failed);
    // The end is in the database as well by now.
    fixture.user.put(*fixture.operations.registry().get_operation(ended));
    while (fixture.peer.await(fixture.user.loop)["method"] != "operation.ended") {
    }

    const json here = stats({{"name", "here"}});
    CHECK(here["total_operations"] == 2);
    CHECK(here["active_operations"] == 1);
    CHECK(here["history_size"] == 1);
    CHECK(here["history_by_status"] == json{{"failed", 1}});
    CHECK(here["supervisor"]["protocol"] == 1);
    const json failed = stats({{"status", {"failed"}}});
    CHECK(failed["total_operations"] == 2);
    CHECK(failed["active_operations"] == 0);
    CHECK(failed["total_completed"] == 0);
    CHECK(failed["duration"]["p50"].get<double>() > 0);
    const json some = stats({{"ids", {101, 103, live}}});
    CHECK(some["total_operations"] == 3);
    CHECK(some["history_by_status"] == json{{"completed", 1}, {"failed", 1}});
    CHECK(stats({{"parent", 99}})["total_operations"] == 0);
    CHECK(stats({{"since", "2999-01-01T00:00:00.000Z"}})["history_size"] == 0);
    CHECK(stats({{"all", true}})["total_operations"] ==
          fixture.call("stats.get")["result"]["total_operations"]);
    CHECK(fixture.call("stats.get", {{"selectors", {}}})["error"]["code"] == -32602);
}

TEST_CASE("a wait goes on for what is live and brings what had ended") {
    Fixture fixture;
    fixture.user.put(ended_operation(101));
    json watched = Fixture::run_params();
    watched["watch"] = true;
    const OperationId live = fixture.call("operation.run", watched)["result"]["id"];
    fixture.peer.request(7, "operation.wait", {{"selector", {{"ids", {live, 101}}}}});
    CHECK(run_until(fixture.user.loop, [&] { return fixture.operations.waiting_callbacks() == 2; }));
    fixture.operations.end(live, Status::failed);
    json answer;
    while ((answer = fixture.peer.await(fixture.user.loop))["id"] != 7) {
    }
    CHECK(fixture.ids(answer) == std::vector{static_cast<int>(live), 101});
}

TEST_CASE("a detached run is answered once it is recorded") {
    Fixture fixture;
    fixture.peer.request(1, "operation.run", Fixture::run_params());
    CHECK(run_until(fixture.user.loop, [&] { return fixture.operations.recording.size() == 1; }));
    CHECK(fixture.service.pending() == 1);
    CHECK(fixture.peer.next().is_null());
    fixture.operations.recording.front().second();
    CHECK(fixture.peer.await(fixture.user.loop)["result"]["status"] == "running");
}

TEST_CASE("a parent that ended long ago is refused as one that has ended") {
    Fixture fixture;
    fixture.user.put(ended_operation(101));
    json params = Fixture::run_params();
    params["parent"] = 101;
    fixture.operations.refuse_next =
        Error{ErrorCode::not_found, "there is no operation 101 to be its parent", 0};
    CHECK(fixture.call("operation.run", params)["error"]["message"] ==
          "operation 101 has ended, so it has no more children");
    params["parent"] = 99;
    fixture.operations.refuse_next =
        Error{ErrorCode::not_found, "there is no operation 99 to be its parent", 0};
    CHECK(fixture.call("operation.run", params)["error"]["message"] ==
          "there is no operation 99 to be its parent");
}

TEST_CASE("prune is carried out on the history") {
    Fixture fixture;
    for (OperationId id = 101; id <= 104; ++id)
        fixture.user.put(ended_operation(id));
    CHECK(fixture.call("history.prune", {{"keep", 1}, {"dry_run", true}})["result"] ==
          json{{"operations", 3}, {"logs", 0}, {"dry_run", true}});
    CHECK(fixture.call("history.prune", {{"keep", 1}})["result"]["operations"] == 3);
    CHECK(fixture.user.ids() == std::vector<OperationId>{104});
    CHECK(fixture.call("history.prune")["error"]["code"] == -32602);
    CHECK(fixture.call("history.prune", {{"status", {"running"}}})["error"]["code"] == -32602);
    fixture.operations.history_to_use = nullptr;
    CHECK(fixture.call("history.prune", {{"keep", 1}})["error"]["code"] == -32002);
}

TEST_CASE("a lookup is dropped with its connection") {
    Fixture fixture;
    fixture.user.put(ended_operation(101));
    fixture.peer.request(1, "operation.list", {{"all", true}});
    fixture.peer.close();
    CHECK(run_until(fixture.user.loop, [&] { return fixture.server.connections() == 0; }));
    CHECK(fixture.service.pending() == 0);
}

TEST_SUITE_END();

}  // namespace
