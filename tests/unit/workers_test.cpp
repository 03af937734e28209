#include "engine/workers.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/thread_state.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

// Keeps every worker of a pool of one busy until it is let go.
class Blocker {
public:
    explicit Blocker(WorkerPool& pool)
        : task_(pool.run_in_thread([this] {
              started_.count_down();
              go_.wait();
          })) {
        started_.wait();
    }
    ~Blocker() {
        go_.count_down();
        CHECK(std::move(task_).get());
    }

private:
    std::latch started_{1};
    std::latch go_{1};
    Task<void> task_;
};

TEST_CASE("a task hands back what its function returned, or threw") {
    WorkerPool pool(2);
    CHECK(pool.run_in_thread([] { return 42; }).get() == 42);
    CHECK(pool.run_in_thread([] {}).get());
    CHECK(*pool.run_in_thread([] { return std::make_unique<int>(3); }).get().value() == 3);
    const auto outcome = pool.run_in_thread([]() -> int { throw std::runtime_error("no such table"); }).get();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().message == "no such table");
    CHECK_FALSE(outcome.error().cancelled);
    CHECK_THROWS_AS(std::rethrow_exception(outcome.error().exception), std::runtime_error);
}

TEST_CASE("a function that checks its token ends as cancelled") {
    WorkerPool pool(1);
    CancelationToken token;
    std::latch started(1);
    std::atomic<bool> ended = false;
    auto task = pool.run_in_thread(
        [&](const CancelationToken& own) {
            started.count_down();
            own.wait();
            ended = true;
            own.check();
            return 1;
        },
        token);
    started.wait();
    token.cancel(CancelationReason::timeout, "too slow");
    const auto outcome = std::move(task).get();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().cancelled == CancelationReason::timeout);
    CHECK(outcome.error().message == "too slow");
    pool.stop();
    CHECK(ended);
}

TEST_CASE("the waiter is released at once, though the function goes on") {
    WorkerPool pool(1);
    CancelationToken token;
    std::latch started(1), go(1);
    auto task = pool.run_in_thread(
        [&] {
            started.count_down();
            go.wait();
            return 1;
        },
        token);
    started.wait();
    CHECK_FALSE(task.wait_for(0ms));
    std::thread canceller([&] { token.cancel(CancelationReason::manual); });
    // The function cannot end before this returns.
    CHECK(std::move(task).get().error().cancelled == CancelationReason::manual);
    canceller.join();
    go.count_down();
}

TEST_CASE("queued work whose token is set never starts, and lets go of what it holds at once") {
    WorkerPool pool(1);
    CancelationToken token;
    const auto held = std::make_shared<int>(0);
    {
        const Blocker blocker(pool);
        auto task = pool.run_in_thread([held] { ++*held; }, token);
        CHECK(pool.queued() == 1);
        CHECK(held.use_count() == 2);
        token.cancel(CancelationReason::manual);
        CHECK(held.use_count() == 1);
        CHECK(task.is_ready());
        auto late = pool.run_in_thread([held] { ++*held; }, token);
        CHECK(late.is_ready());
        CHECK(pool.queued() == 1);
    }
    pool.stop();
    CHECK(*held == 0);
}

TEST_CASE("stopping settles what is queued and joins what runs") {
    auto pool = std::make_unique<WorkerPool>(1);
    std::latch started(1);
    std::atomic<bool> ended = false;
    auto running = pool->run_in_thread([&](const CancelationToken& token) {
        started.count_down();
        token.wait();
        ended = true;
    });
    auto queued = pool->run_in_thread([] { return 1; });
    started.wait();
    CHECK(pool->queued() == 1);
    pool->stop();
    CHECK(ended);
    CHECK(pool->queued() == 0);
    CHECK(pool->workers() == 0);
    pool.reset();
    CHECK(std::move(running).get().error().cancelled == CancelationReason::shutdown);
    CHECK(std::move(queued).get().error().cancelled == CancelationReason::shutdown);
}

TEST_CASE("what a function holds is free before whoever waits for it goes on") {
    WorkerPool pool(1);
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = held;
    std::latch go(1), settled(1);
    bool free = false;
    pool.run_in_thread([held = std::move(held), &go] { go.wait(); }).then([&](const Outcome<void>&) {
        free = watched.expired();
        settled.count_down();
    });
    go.count_down();
    settled.wait();
    CHECK(free);
}

TEST_CASE("a stopped pool settles new tasks from the start") {
    WorkerPool pool(1);
    pool.stop();
    CHECK(pool.run_in_thread([] { return 1; }).get().error().cancelled == CancelationReason::shutdown);
    CHECK(pool.workers() == 0);
}

TEST_CASE("there are never more workers than allowed, and no more than needed") {
    WorkerPool pool(3);
    CHECK(pool.workers() == 0);
    for (int i = 0; i < 5; ++i) {
        const auto worker = pool.run_in_thread([] { return ::gettid(); }).get();
        REQUIRE(worker);
        testing::wait_until_asleep(*worker);  // it is idle, so the next one needs no other
    }
    CHECK(pool.workers() == 1);
    std::latch all(3);
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 3; ++i)
        tasks.push_back(pool.run_in_thread([&] { all.arrive_and_wait(); }));
    for (auto& task : tasks)
        CHECK(std::move(task).get());
    CHECK(pool.workers() == 3);
}

TEST_CASE("a task runs in the context of its caller, and its token by default is the operation's") {
    WorkerPool pool(1);
    CancelationToken token;
    CHECK(pool.run_in_thread([] { return current_operation() == nullptr; }).get() == true);
    const ContextScope scope(Context({12, "train", token}));
    CHECK(pool.run_in_thread([] { return current_operation_prefix(); }).get() == "operation 12: ");
    CHECK(pool.run_in_thread_with_context([] { return current_operation()->name; }).get() == "train");
    token.cancel(CancelationReason::idle);
    CHECK(pool.run_in_thread_with_context([] { return 1; }).get().error().cancelled ==
          CancelationReason::idle);
}

TEST_CASE("workers leave signals to the program's own threads") {
    WorkerPool pool(1);
    auto blocked = pool.run_in_thread([] {
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGUSR1) == 1;
    });
    CHECK(std::move(blocked).get() == true);
    sigset_t mine;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mine);
    CHECK(sigismember(&mine, SIGINT) == 0);
}

TEST_CASE("a task that is let go of still runs") {
    WorkerPool pool(1);
    std::latch ran(1);
    {
        auto dropped = pool.run_in_thread([&] { ran.count_down(); });
    }
    ran.wait();
}

TEST_CASE("what follows a task is called once with its outcome") {
    WorkerPool pool(1);
    std::atomic<int> calls = 0;
    std::latch done(1);
    pool.run_in_thread([] { return 5; }).then([&](Outcome<int> outcome) {
        calls += outcome.value();
        done.count_down();
    });
    done.wait();
    pool.stop();
    CHECK(calls == 5);
    pool.run_in_thread([] { return 5; }).then([&](const Outcome<int>& outcome) {
        calls += outcome ? 100 : 1;
    });
    CHECK(calls == 6);
}

}  // namespace
}  // namespace cancelable
