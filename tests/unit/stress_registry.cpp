#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/registry.h"
#include "tests/unit/stress.h"

namespace cancelable {
namespace {

Operation operation(OperationId id, OperationId parent) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = "user_" + std::to_string(id % 10) + "_job";
    spec->parent = parent;
    Operation made;
    made.spec = std::move(spec);
    return made;
}

// What all threads saw that must not be.
struct Wrong {
    std::atomic<int> stale_lists{0};
    std::atomic<int> forbidden_steps{0};
    std::atomic<int> disorder{0};
    std::atomic<int> overlaps{0};
};

struct World {
    Registry registry{{.history_size = 200}};
    std::atomic<OperationId> next_id{1};
    std::atomic<std::uint64_t> unregistered{0};
    Wrong wrong;

    OperationId some_id(std::mt19937_64& random) {
        const OperationId newest = next_id.load();
        return newest <= 600 ? 1 + random() % newest : newest - random() % 600;
    }
};

void change_something(World& world, std::mt19937_64& random) {
    const auto to = kAllStatuses[random() % kAllStatuses.size()];
    Status from = to;
    const auto after = world.registry.update(world.some_id(random), [&](Operation& edited) {
        from = edited.status;
        edited.status = to;
        edited.duration = std::chrono::microseconds(random() % 1'000'000);
    });
    if (after && from != to && !may_become(from, to)) ++world.wrong.forbidden_steps;
}

void look_at_something(World& world, std::mt19937_64& random) {
    Selector selector;
    if (random() % 2 == 0) selector.statuses = {Status::running, Status::cancelling};
    if (random() % 2 == 0) selector.name = "user_" + std::to_string(random() % 10) + "_*";
    OperationId last = 0;
    for (const Snapshot& seen : world.registry.list(selector, Registry::Scope::live_and_ended)) {
        const bool wanted = selector.statuses.empty() || seen->status == Status::running ||
                            seen->status == Status::cancelling;
        if (seen->id() <= last || !wanted) ++world.wrong.stale_lists;
        last = seen->id();
    }
}

void step(World& world, std::optional<Registry::Subscription>& subscription, std::mt19937_64& random) {
    Registry& registry = world.registry;
    switch (random() % 64) {
        case 0:
            look_at_something(world, random);
            break;
        case 1:
            (void)registry.get_statistics();
            break;
        case 2:
            (void)registry.history(10, Status::completed);
            break;
        case 3:
            (void)registry.children(world.some_id(random));
            break;
        case 4:
            registry.cancel_all({.parent = world.some_id(random)}, CancelationReason::manual);
            break;
        case 5:
            subscription.reset();
            subscription.emplace(registry.subscribe(
                [&world, last = std::uint64_t{0},
                 inside = std::make_shared<std::atomic<int>>(0)](const Transition& step) mutable {
                    if (inside->fetch_add(1) != 0) ++world.wrong.overlaps;
                    if (step.revision <= last) ++world.wrong.disorder;
                    if (step.before && step.before->id() != step.after->id()) ++world.wrong.disorder;
                    last = step.revision;
                    inside->fetch_sub(1);
                }));
            break;
        case 6:
            world.unregistered += registry.unregister(world.some_id(random)) ? 1 : 0;
            break;
        case 7:
            (void)registry.cancel_operation(world.some_id(random), CancelationReason::manual, "stress");
            break;
        case 8:
            (void)registry.cleanup(std::chrono::hours(1), true);
            break;
        default:
            if (registry.live_count() < 500 && random() % 2 == 0)
                registry.register_operation(
                    operation(world.next_id++, random() % 2 == 0 ? world.some_id(random) : 0));
            else
                change_something(world, random);
    }
}

TEST_CASE("the registry under stress: its counts, its indices and its records agree") {
    World world;
    stress::on_all_threads([&](std::size_t, std::mt19937_64& random) {
        std::optional<Registry::Subscription> subscription;
        for (std::size_t i = 0; i < stress::steps_per_thread(); ++i)
            step(world, subscription, random);
    });
    CHECK(world.wrong.stale_lists == 0);
    CHECK(world.wrong.forbidden_steps == 0);
    CHECK(world.wrong.disorder == 0);
    CHECK(world.wrong.overlaps == 0);

    const Statistics all = world.registry.get_statistics();
    CHECK(all.total_operations == world.next_id - 1);
    CHECK(all.active_operations == world.registry.live_count());
    CHECK(all.history_size == world.registry.history().size());
    const auto live = world.registry.list({});
    CHECK(live.size() == world.registry.live_count());
    for (const Status status : kAllStatuses) {
        if (is_ended(status)) continue;
        std::uint64_t counted = 0;
        for (const Snapshot& operation : live)
            counted += operation->status == status ? 1 : 0;
        const auto told = all.active_by_status.find(status);
        CHECK(counted == (told != all.active_by_status.end() ? told->second : 0));
        CHECK(counted == world.registry.list({.statuses = {status}}).size());
    }
    std::size_t with_parent = 0, found_as_children = 0;
    for (const Snapshot& operation : live)
        with_parent += operation->spec->parent != 0;
    for (OperationId parent = 1; parent < world.next_id; ++parent)
        found_as_children += world.registry.children(parent).size();
    CHECK(with_parent == found_as_children);
}

TEST_CASE("a list under stress has all that stays, once, however much comes and goes around it") {
    constexpr OperationId kStaying = 3000;
    Registry registry({.history_size = 10});
    for (OperationId id = 2; id <= 2 * kStaying; id += 2)
        registry.register_operation(operation(id, 0));
    std::atomic<int> wrong = 0;
    stress::on_all_threads([&](std::size_t index, std::mt19937_64& random) {
        for (std::size_t i = 0; i < stress::steps_per_thread() / 100; ++i) {
            if (index == 0) {
                OperationId expected = 2;
                for (const Snapshot& seen : registry.list({}, Registry::Scope::live_and_ended))
                    if (seen->id() % 2 == 0) wrong += seen->id() != std::exchange(expected, expected + 2);
                wrong += expected != 2 * kStaying + 2;
                continue;
            }
            // Odd ids, a range for each thread.
            const OperationId id = (random() % 400 * (stress::kThreads - 1) + index - 1) * 2 + 1;
            if (registry.get_operation(id))
                registry.unregister(id);
            else
                registry.register_operation(operation(id, 0));
            const auto stays = 2 * (1 + random() % kStaying);
            (void)registry.update(stays, [](Operation& edited) { edited.pid = 1; });
        }
    });
    CHECK(wrong == 0);
}

}  // namespace
}  // namespace cancelable
