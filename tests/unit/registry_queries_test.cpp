// What the registry answers by age and predicate, and what it forgets.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/registry.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using Ids = std::vector<OperationId>;

Operation accepted(OperationId id, std::chrono::minutes ago, std::string name = "job") {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = std::move(name);
    spec->created_at = wall_now() - ago;
    Operation made;
    made.spec = std::move(spec);
    return made;
}

Operation ended(OperationId id, Status status, std::chrono::minutes ago) {
    Operation made = accepted(id, ago);
    made.status = status;
    made.ended_at = wall_now() - ago;
    return made;
}

Ids ids(const std::vector<Snapshot>& snapshots) {
    Ids all;
    for (const Snapshot& snapshot : snapshots)
        all.push_back(snapshot->id());
    return all;
}

TEST_CASE("operations are listed and cancelled by how long ago they were accepted") {
    Registry registry;
    registry.register_operation(accepted(1, 180min));
    registry.register_operation(accepted(2, 60min));
    registry.register_operation(accepted(3, 0min));
    CHECK(ids(registry.list({.older_than = 30min})) == Ids{1, 2});
    CHECK(ids(registry.list({.newer_than = 90min})) == Ids{2, 3});
    CHECK(ids(registry.list({.older_than = 30min, .newer_than = 90min})) == Ids{2});
    CHECK(registry.cancel_all({.older_than = 90min}, CancelationReason::manual) == Ids{1});
    CHECK(registry.cancel_all({.newer_than = 30min}, CancelationReason::manual) == Ids{3});
    CHECK_FALSE(registry.token(2)->is_cancelled());
}

TEST_CASE("a predicate has the last word on what is cancelled, and may use the registry") {
    Registry registry;
    for (OperationId id = 1; id <= 4; ++id)
        registry.register_operation(accepted(id, 0min, id == 4 ? "other" : "job"));
    Ids asked;
    const auto odd = [&](const Operation& operation) {
        asked.push_back(operation.id());
        registry.unregister(4);
        return operation.id() % 2 == 1;
    };
    CHECK(registry.cancel_all({.globs = {"job"}}, CancelationReason::manual, {}, odd) == Ids{1, 3});
    std::ranges::sort(asked);
    CHECK(asked == Ids{1, 2, 3});
    CHECK_FALSE(registry.token(2)->is_cancelled());
}

TEST_CASE("cleaning up forgets what ended long enough ago, and keeps failed and lost ones where asked to") {
    Registry registry;
    registry.register_operation(ended(1, Status::completed, 180min));
    registry.register_operation(ended(2, Status::failed, 180min));
    registry.register_operation(ended(3, Status::lost, 180min));
    registry.register_operation(ended(4, Status::timeout, 180min));
    registry.register_operation(ended(5, Status::cancelled, 180min));
    registry.register_operation(ended(6, Status::completed, 10min));
    registry.register_operation(accepted(7, 180min));
    CHECK(registry.get_statistics().total_completed == 2);
    CHECK(registry.get_statistics().cancelled_operations == 2);
    CHECK(registry.cleanup(60min, true) == 3);
    CHECK(ids(registry.history()) == Ids{2, 3, 6});
    CHECK(registry.cleanup(60min) == 2);
    CHECK(ids(registry.history()) == Ids{6});
    CHECK(registry.get_statistics().history_size == 1);
    CHECK(registry.live_count() == 1);
    CHECK_FALSE(registry.get_operation(2));
}

TEST_CASE("history holds what ended at a moment to those who ask since then") {
    Registry registry;
    Operation first = ended(1, Status::completed, 0min);
    const WallTime moment = *first.ended_at;
    registry.register_operation(std::move(first));
    CHECK(registry.history({}, {}, moment).size() == 1);
    CHECK(registry.history({}, {}, moment + 1us).empty());
}

TEST_CASE("a revision tells that something was forgotten") {
    Registry registry;
    registry.register_operation(accepted(1, 0min));
    registry.register_operation(ended(2, Status::completed, 10min));
    const std::uint64_t before = registry.revision();
    CHECK(registry.unregister(1));
    const std::uint64_t between = registry.revision();
    CHECK(between > before);
    CHECK(registry.cleanup(0min) == 1);
    const std::uint64_t after = registry.revision();
    CHECK(after > between);
    CHECK(registry.cleanup(0min) == 0);
    CHECK_FALSE(registry.unregister(1));
    CHECK(registry.revision() == after);
}

TEST_CASE("what was asked for when an operation was accepted cannot be changed") {
    Registry registry;
    registry.register_operation(accepted(1, 0min, "as accepted"));
    const auto changed = registry.update(1, [](Operation& edited) {
        auto other = std::make_shared<OperationSpec>(*edited.spec);
        other->name = "forged";
        other->parent = 7;
        edited.spec = std::move(other);
        edited.error = "still changed";
    });
    REQUIRE(changed);
    CHECK((*changed)->spec->name == "as accepted");
    CHECK((*changed)->error == "still changed");
    CHECK(registry.children(7).empty());
}

}  // namespace
}  // namespace cancelable
