#include "engine/registry.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace cancelable {
namespace {

using namespace std::chrono_literals;

WallTime now() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
}

Operation operation(OperationId id, std::string name = "job", OperationId parent = 0, Tags tags = {}) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = std::move(name);
    spec->parent = parent;
    spec->tags = std::move(tags);
    spec->created_at = now();
    Operation made;
    made.spec = std::move(spec);
    return made;
}

Result<Snapshot> become(Registry& registry, OperationId id, Status status) {
    return registry.update(id, [&](Operation& edited) {
        edited.status = status;
        if (is_ended(status)) edited.ended_at = now();
    });
}

std::vector<OperationId> ids(const std::vector<Snapshot>& snapshots) {
    std::vector<OperationId> all;
    for (const Snapshot& snapshot : snapshots)
        all.push_back(snapshot->id());
    return all;
}

using Ids = std::vector<OperationId>;

TEST_CASE("what is registered is found, by id and in the list, until it is unregistered") {
    Registry registry;
    registry.register_operation(operation(2, "two"));
    registry.register_operation(operation(1, "one"));
    CHECK(registry.get_operation(2)->spec->name == "two");
    CHECK_FALSE(registry.get_operation(3));
    CHECK(ids(registry.list({})) == Ids{1, 2});
    CHECK(registry.live_count() == 2);
    CHECK(registry.unregister(2));
    CHECK_FALSE(registry.unregister(2));
    CHECK(ids(registry.list({})) == Ids{1});
    CHECK_FALSE(registry.token(2));
}

TEST_CASE("an id is taken in once, and an operation without a spec not at all") {
    Registry registry;
    registry.register_operation(operation(1));
    CHECK_THROWS_AS(registry.register_operation(operation(1)), std::invalid_argument);
    CHECK_THROWS_AS(registry.register_operation({}), std::invalid_argument);
    become(registry, 1, Status::lost);
    CHECK_THROWS_AS(registry.register_operation(operation(1)), std::invalid_argument);
}

TEST_CASE("a snapshot never changes, its successor shows the change") {
    Registry registry;
    const Snapshot first = registry.register_operation(operation(1));
    const auto second = registry.update(1, [](Operation& edited) {
        edited.status = Status::running;
        edited.pid = 42;
    });
    REQUIRE(second);
    CHECK(first->status == Status::pending);
    CHECK_FALSE(first->pid);
    CHECK(registry.get_operation(1) == *second);
    CHECK((*second)->pid == 42);
}

TEST_CASE("a forbidden step, an ended operation and an unknown one are refused, and nothing changes") {
    Registry registry;
    registry.register_operation(operation(1));
    const auto revision = registry.revision();
    auto outcome = become(registry, 1, Status::completed);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == ErrorCode::refused);
    CHECK(outcome.error().sentence() == "operation 1 cannot go from pending to completed");
    CHECK(registry.get_operation(1)->status == Status::pending);
    CHECK(registry.revision() == revision);
    REQUIRE(become(registry, 1, Status::failed));
    CHECK(become(registry, 1, Status::running).error().code == ErrorCode::refused);
    CHECK(become(registry, 2, Status::running).error().code == ErrorCode::not_found);
}

TEST_CASE("a change that throws changes nothing, and one that uses the registry is welcome") {
    Registry registry;
    registry.register_operation(operation(1));
    CHECK_THROWS_AS((void)registry.update(1, [](Operation&) { throw std::runtime_error("no"); }),
                    std::runtime_error);
    std::size_t seen = 0;
    CHECK(registry.update(1, [&](Operation& edited) {
        seen = registry.list({}).size();
        edited.status = Status::running;
    }));
    CHECK(seen == 1);
}

TEST_CASE("an update that another one overtakes is made again on the new record") {
    Registry registry;
    registry.register_operation(operation(1));
    int runs = 0;
    CHECK(registry.update(1, [&](Operation& edited) {
        if (++runs == 1) REQUIRE(become(registry, 1, Status::running));
        edited.error += "x";
    }));
    CHECK(runs == 2);
    CHECK(registry.get_operation(1)->status == Status::running);
    CHECK(registry.get_operation(1)->error == "x");
}

TEST_CASE("lists narrow by status, parent, name and ids, and come in order of ids") {
    Registry registry;
    for (OperationId id = 1; id <= 6; ++id)
        registry.register_operation(operation(id, id % 2 == 0 ? "even" : "odd", id > 3 ? 1 : 0));
    for (const OperationId id : {5, 2, 3})
        REQUIRE(become(registry, id, Status::running));
    REQUIRE(become(registry, 3, Status::completed));
    CHECK(ids(registry.list({.statuses = {Status::running}})) == Ids{2, 5});
    CHECK(ids(registry.list({.statuses = {Status::running, Status::pending, Status::running}})) ==
          Ids{1, 2, 4, 5, 6});
    CHECK(ids(registry.list({.parent = 1})) == Ids{4, 5, 6});
    CHECK(ids(registry.children(1)) == Ids{4, 5, 6});
    CHECK(ids(registry.list({.parent = 0})) == Ids{1, 2});
    CHECK(ids(registry.list({.name = "odd"})) == Ids{1, 5});
    CHECK(ids(registry.list({.ids = {6, 1, 6, 77, 3}})) == Ids{1, 6});
    CHECK(ids(registry.list({.ids = {1}, .globs = {"even"}})) == Ids{1, 2, 4, 6});
    CHECK(ids(registry.list({}, Registry::Scope::live, 2)) == Ids{5, 6});
    CHECK(ids(registry.list({}, Registry::Scope::live_and_ended)) == Ids{1, 2, 3, 4, 5, 6});
    CHECK(ids(registry.list({.ids = {3}}, Registry::Scope::live_and_ended)) == Ids{3});
    CHECK(ids(registry.list({.statuses = {Status::completed}}, Registry::Scope::live_and_ended)) == Ids{3});
}

TEST_CASE("a list longer than what is looked at in one go is whole and in order") {
    Registry registry;
    for (OperationId id = 1; id <= 2000; ++id)
        registry.register_operation(operation(id, id % 7 == 0 ? "seventh" : "other"));
    const auto all = ids(registry.list({}));
    CHECK(all.size() == 2000);
    CHECK(std::ranges::is_sorted(all));
    CHECK(registry.list({.globs = {"sev*"}}).size() == 285);
    CHECK(registry.list({.statuses = {Status::pending}}).size() == 2000);
    CHECK(registry.cancel_all({.name = "seventh"}, CancelationReason::manual).size() == 285);
}

TEST_CASE("an index that is left empty, and filled again, stays true") {
    Registry registry;
    for (OperationId id = 1; id <= 50; ++id)
        registry.register_operation(operation(id, "job", id % 5));
    for (OperationId id = 1; id <= 50; id += 3)
        REQUIRE(become(registry, id, Status::running));
    for (OperationId id = 1; id <= 50; id += 2)
        REQUIRE(registry.unregister(id));
    for (const OperationId parent : {1, 2, 3, 4})
        for (const Snapshot& child : registry.children(parent))
            CHECK(child->spec->parent == parent);
    CHECK(registry.children(2).size() == 5);
    CHECK(registry.list({.statuses = {Status::running}}).size() == 8);
    CHECK(registry.get_statistics().running_operations == 8);
    CHECK(registry.get_statistics().active_operations == 25);
}

TEST_CASE("cancelling sets the operation's token, once, and says which") {
    Registry registry;
    registry.register_operation(operation(1));
    const CancelationToken token = registry.token(1).value();
    CHECK(registry.cancel_operation(1, CancelationReason::manual, "enough") == true);
    CHECK(registry.cancel_operation(1, CancelationReason::timeout) == false);
    CHECK(token.message() == "enough");
    CHECK(registry.cancel_operation(9, CancelationReason::manual).error().code == ErrorCode::not_found);
    REQUIRE(become(registry, 1, Status::cancelled));
    CHECK(registry.cancel_operation(1, CancelationReason::manual).error().code == ErrorCode::refused);
}

TEST_CASE("a pattern cancels what it matches and nothing else") {
    Registry registry;
    registry.register_operation(operation(1, "user_42_a"));
    registry.register_operation(operation(2, "user_421"));
    registry.register_operation(operation(3, "user_42_b"));
    registry.register_operation(operation(4, "user_42_c"));
    REQUIRE(become(registry, 4, Status::lost));
    registry.cancel_operation(3, CancelationReason::manual).value();
    const Selector pattern{.globs = {"user_42_*"}};
    CHECK(registry.cancel_all(pattern, CancelationReason::manual, "cleanup") == Ids{1});
    CHECK(registry.token(1)->message() == "cleanup");
    CHECK_FALSE(registry.token(2)->is_cancelled());
    CHECK(registry.cancel_all({}, CancelationReason::shutdown, {},
                              [](const Operation& one) { return one.id() > 2; }) == Ids{});
    CHECK(registry.cancel_all({}, CancelationReason::shutdown) == Ids{2});
}

TEST_CASE("a parent's cancelation reaches its children, also those that come later") {
    Registry registry;
    registry.register_operation(operation(1));
    registry.register_operation(operation(2, "child", 1));
    registry.register_operation(operation(3, "grandchild", 2));
    registry.cancel_operation(1, CancelationReason::disconnect, "gone").value();
    registry.register_operation(operation(4, "late", 1));
    for (const OperationId id : {2, 3, 4}) {
        CHECK(registry.token(id)->reason() == CancelationReason::parent);
        CHECK(registry.token(id)->message() == "gone");
    }
}

TEST_CASE("history is bounded, in order of ending, and can be asked by status and time") {
    Registry registry({.history_size = 3});
    for (OperationId id = 1; id <= 5; ++id) {
        registry.register_operation(operation(id));
        REQUIRE(become(registry, id, Status::running));
    }
    for (const OperationId id : {3, 1, 2, 5})
        REQUIRE(become(registry, id, id == 2 ? Status::failed : Status::completed));
    CHECK(ids(registry.history()) == Ids{1, 2, 5});
    CHECK_FALSE(registry.get_operation(3));
    CHECK(ids(registry.history(2)) == Ids{2, 5});
    CHECK(ids(registry.history(1, Status::completed)) == Ids{5});
    CHECK(ids(registry.history({}, {}, now() + 1h)) == Ids{});
    CHECK(ids(registry.history({}, {}, now() - 1h)) == Ids{1, 2, 5});
    CHECK(registry.cleanup(1h) == 0);
    CHECK(registry.cleanup(0ms, true) == 2);
    CHECK(ids(registry.history()) == Ids{2});
    CHECK(registry.cleanup(0ms) == 1);
    CHECK(registry.get_statistics().history_size == 0);
    CHECK(registry.get_statistics().total_completed == 3);
}

TEST_CASE("a history of size nothing keeps nothing") {
    Registry registry({.history_size = 0});
    registry.register_operation(operation(1));
    REQUIRE(become(registry, 1, Status::cancelled));
    CHECK_FALSE(registry.get_operation(1));
    CHECK(registry.get_statistics().cancelled_operations == 1);
}

TEST_CASE("statistics count what lives and what ended") {
    Registry registry;
    for (OperationId id = 1; id <= 6; ++id)
        registry.register_operation(operation(id));
    for (OperationId id = 1; id <= 5; ++id)
        REQUIRE(become(registry, id, Status::running));
    const auto end = [&](OperationId id, Status status, std::chrono::milliseconds took) {
        REQUIRE(registry.update(id, [&](Operation& edited) {
            edited.status = status;
            edited.duration = took;
            if (status != Status::cancelled) return;
            auto cancelation = std::make_shared<Cancelation>();
            cancelation->requested_at = now();
            cancelation->gone_at = cancelation->requested_at + 500ms;
            cancelation->signals = {SIGTERM, SIGKILL};
            edited.cancelation = cancelation;
        }));
    };
    end(1, Status::completed, 1s);
    end(2, Status::cancelled, 3s);
    end(3, Status::timeout, 8s);
    Operation earlier = operation(100);
    earlier.status = Status::failed;
    registry.register_operation(earlier);
    const Statistics all = registry.get_statistics();
    CHECK(all.total_operations == 7);
    CHECK(all.running_operations == 2);
    CHECK(all.cancelled_operations == 2);
    CHECK(all.active_operations == 3);
    CHECK(all.active_by_status ==
          std::map<Status, std::uint64_t>{{Status::pending, 1}, {Status::running, 2}});
    CHECK(all.history_size == 4);
    CHECK(all.history_by_status.at(Status::failed) == 1);
    CHECK(all.total_completed == 1);
    CHECK(all.average_duration_seconds == doctest::Approx(4));
    CHECK(all.duration.p50 == doctest::Approx(3).epsilon(0.005));
    CHECK(all.duration.p99 == doctest::Approx(8).epsilon(0.005));
    CHECK(all.cancel_latency.p90 == doctest::Approx(0.5).epsilon(0.005));
    CHECK(all.escalated == 1);
}

TEST_CASE("listeners get every transition in order, with its revision") {
    Registry registry;
    std::vector<Transition> heard;
    auto subscription = registry.subscribe([&](const Transition& step) { heard.push_back(step); });
    registry.register_operation(operation(1));
    REQUIRE(become(registry, 1, Status::running));
    REQUIRE(heard.size() == 2);
    CHECK_FALSE(heard[0].before);
    CHECK(heard[0].after->status == Status::pending);
    CHECK(heard[1].before == heard[0].after);
    CHECK(heard[1].after->status == Status::running);
    CHECK(heard[1].revision == heard[0].revision + 1);
    CHECK(heard[1].revision == registry.revision());
    subscription = {};
    REQUIRE(become(registry, 1, Status::failed));
    CHECK(heard.size() == 2);
}

TEST_CASE("a listener may change operations, add listeners and leave: the order stays") {
    Registry registry;
    std::vector<std::string> heard;
    std::vector<Registry::Subscription> more;
    std::optional<Registry::Subscription> first;
    first.emplace(registry.subscribe([&](const Transition& step) {
        heard.push_back("first " + std::string(to_string(step.after->status)));
        if (step.after->status == Status::pending) {
            REQUIRE(become(registry, 1, Status::running));
            more.push_back(registry.subscribe([&](const Transition& later) {
                heard.push_back("added " + std::string(to_string(later.after->status)));
            }));
        } else {
            first.reset();
        }
    }));
    const auto second = registry.subscribe([&](const Transition& step) {
        heard.push_back("second " + std::string(to_string(step.after->status)));
        throw std::runtime_error("dropped");
    });
    registry.register_operation(operation(1));
    REQUIRE(become(registry, 1, Status::completed));
    CHECK(heard == std::vector<std::string>{"first pending", "second pending", "first running",
                                            "second running", "second completed", "added completed"});
}

TEST_CASE("a subscription outlives its registry") {
    Registry::Subscription subscription;
    {
        Registry registry;
        subscription = registry.subscribe([](const Transition&) {});
    }
}

}  // namespace
}  // namespace cancelable
