#include "engine/local_operation.h"

#include <doctest/doctest.h>

#include <future>
#include <stdexcept>
#include <thread>

namespace cancelable {
namespace {

// Keeps the one worker of a pool busy until it is told to go on.
struct Busy {
    explicit Busy(WorkerPool& pool)
        : task(pool.run_in_thread([&] {
              started.set_value();
              go_on.get_future().wait();
          })) {
        started.get_future().wait();
    }
    std::promise<void> started, go_on;
    Task<void> task;
};

struct Thrown {};

TEST_CASE("a program's own work is an operation from before it begins until it has ended") {
    Registry registry;
    WorkerPool pool(1);
    Busy busy(pool);
    Status within = Status::lost;
    OperationId current = 0;
    auto task = run_as_operation(registry, pool, {.name = "sum", .tags = {{"user", "42"}}}, [&] {
        current = current_operation()->id;
        within = registry.get_operation(current)->status;
        return 6 * 7;
    });
    const auto queued = registry.list({});
    REQUIRE(queued.size() == 1);
    CHECK(queued.front()->status == Status::pending);
    CHECK(queued.front()->spec->name == "sum");
    CHECK(queued.front()->spec->tags == Tags{{"user", "42"}});
    busy.go_on.set_value();
    CHECK(std::move(task).get() == 42);
    CHECK(current == queued.front()->id());
    CHECK(within == Status::running);
    const Snapshot ended = registry.get_operation(current);
    CHECK(ended->status == Status::completed);
    CHECK(ended->error.empty());
    CHECK(ended->duration.has_value());
    CHECK_FALSE(ended->cancelation);
}

TEST_CASE("work that throws is a failed operation, and what it threw goes on to who waits") {
    Registry registry;
    WorkerPool pool(1);
    auto task = run_as_operation(registry, pool, {.name = "fails"},
                                 []() -> int { throw std::runtime_error("no such file"); });
    CHECK(std::move(task).get().error().message == "no such file");
    CHECK(registry.history().back()->status == Status::failed);
    CHECK(registry.history().back()->error == "no such file");

    LocalOperation silent(registry, {.name = "silent"});
    CHECK_THROWS_AS(silent.run([] { throw std::runtime_error(""); }), std::runtime_error);
    CHECK(registry.get_operation(silent.id())->status == Status::failed);

    LocalOperation strange(registry, {.name = "strange"});
    CHECK_THROWS_AS(strange.run([] { throw Thrown(); }), Thrown);
    CHECK(registry.get_operation(strange.id())->status == Status::failed);
    CHECK(registry.get_operation(strange.id())->error == "an exception of unknown type");
}

TEST_CASE("an operation whose work goes on is cancelling; cancelled once the work has returned") {
    Registry registry;
    WorkerPool pool(1);
    std::promise<void> started, go_on;
    auto task = run_as_operation(registry, pool, {.name = "stubborn"}, [&](const CancelationToken& token) {
        started.set_value();
        token.wait();
        go_on.get_future().wait();
    });
    started.get_future().wait();
    const OperationId id = registry.list({}).front()->id();
    CHECK(registry.cancel_operation(id, CancelationReason::manual, "enough") == true);
    // The waiter is released at once.
    const auto outcome = std::move(task).get();
    CHECK(outcome.error().cancelled == CancelationReason::manual);
    const Snapshot cancelling = registry.get_operation(id);
    CHECK(cancelling->status == Status::cancelling);
    CHECK(cancelling->cancelation->message == "enough");
    CHECK_FALSE(cancelling->cancelation->gone_at);
    go_on.set_value();
    pool.stop();
    const Snapshot ended = registry.get_operation(id);
    CHECK(ended->status == Status::cancelled);
    CHECK(ended->cancelation->reason == CancelationReason::manual);
    CHECK(ended->cancelation->gone_at == ended->ended_at);
}

TEST_CASE("queued work that a pattern cancels never starts, and is over at once") {
    Registry registry;
    WorkerPool pool(1);
    Busy busy(pool);
    bool ran = false;
    auto first = run_as_operation(registry, pool, {.name = "user_1_report"}, [&] { ran = true; });
    auto second = run_as_operation(registry, pool, {.name = "user_2_report"}, [] {});
    Selector selector;
    selector.globs = {"user_1_*"};
    CHECK(registry.cancel_all(selector, CancelationReason::manual).size() == 1);
    CHECK(first.is_ready());
    REQUIRE(registry.history().size() == 1);
    CHECK(registry.history().front()->spec->name == "user_1_report");
    CHECK(registry.history().front()->status == Status::cancelled);
    CHECK_FALSE(registry.history().front()->started_at);
    busy.go_on.set_value();
    CHECK(std::move(second).get());
    CHECK_FALSE(ran);
    CHECK(registry.get_statistics().cancelled_operations == 1);
    CHECK(registry.get_statistics().total_completed == 1);
}

TEST_CASE("work that finds itself cancelled ends as that, and a timeout as timeout") {
    Registry registry;
    LocalOperation late(registry, {.name = "late"});
    late.token().cancel(CancelationReason::timeout, "after 1s");
    bool ran = false;
    CHECK_THROWS_AS(late.run([&] { ran = true; }), CancelationError);
    CHECK_FALSE(ran);
    CHECK(registry.get_operation(late.id())->status == Status::timeout);

    LocalOperation other(registry, {.name = "other"});
    CHECK_THROWS_AS(other.run([] { throw CancelationError(CancelationReason::condition, "disk full"); }),
                    CancelationError);
    const Snapshot ended = registry.get_operation(other.id());
    CHECK(ended->status == Status::cancelled);
    CHECK(ended->cancelation->reason == CancelationReason::condition);
    CHECK(ended->cancelation->message == "disk full");
    CHECK(other.token().is_cancelled());
}

TEST_CASE("work that is begun within work is its child, and is cancelled with it") {
    Registry registry;
    LocalOperation outer(registry, {.name = "outer"});
    outer.run([&] {
        LocalOperation inner(registry, {.name = "inner"});
        REQUIRE(registry.children(outer.id()).size() == 1);
        CHECK(registry.children(outer.id()).front()->id() == inner.id());
        registry.cancel_operation(outer.id(), CancelationReason::manual);
        CHECK(inner.token().reason() == CancelationReason::parent);
        LocalOperation other(registry, {.name = "other", .parent = inner.id()});
        CHECK(registry.children(inner.id()).front()->id() == other.id());
    });
    CHECK(registry.live_count() == 0);
    CHECK(registry.get_statistics().cancelled_operations == 3);
}

TEST_CASE("a pool that stops cancels the operations that it runs and those that it has queued") {
    Registry registry;
    WorkerPool pool(1);
    std::promise<void> started;
    auto running = run_as_operation(registry, pool, {.name = "running"}, [&](const CancelationToken& token) {
        started.set_value();
        token.wait();
        token.check();
    });
    auto queued = run_as_operation(registry, pool, {.name = "queued"}, [] {});
    started.get_future().wait();
    pool.stop();
    CHECK(registry.live_count() == 0);
    for (const Snapshot& ended : registry.history()) {
        CHECK(ended->status == Status::cancelled);
        CHECK(ended->cancelation->reason == CancelationReason::shutdown);
    }
    auto after = run_as_operation(registry, pool, {.name = "after"}, [] {});
    CHECK(after.is_ready());
    CHECK(registry.get_statistics().cancelled_operations == 3);
}

TEST_CASE("an operation that is unregistered while its work runs harms nobody") {
    Registry registry;
    LocalOperation forgotten(registry, {.name = "forgotten"});
    CHECK(forgotten.run([&] {
        registry.unregister(forgotten.id());
        return 1;
    }) == 1);
    CHECK_FALSE(registry.get_operation(forgotten.id()));
}

TEST_CASE("reserved ids are each given once, above those that are registered") {
    Registry registry;
    CHECK(registry.reserve_id() == 1);
    CHECK(registry.reserve_id() == 2);
    auto spec = std::make_shared<OperationSpec>();
    spec->id = 40;
    Operation operation;
    operation.spec = std::move(spec);
    registry.register_operation(operation);
    CHECK(registry.reserve_id() == 41);
}

}  // namespace
}  // namespace cancelable
