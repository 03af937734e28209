#include <doctest/doctest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <barrier>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "engine/token.h"
#include "tests/unit/stress.h"

// Threads that wait, cancel and register are interrupted, at any instruction, by a handler that cancels the
// very tokens that they are busy with. Every token lives as long as the test, for a handler may come late.

namespace cancelable {
namespace {

struct Round {
    CancelationToken waited;      // only a handler ever cancels it
    CancelationToken contended;   // handlers and threads race for it
    CancelationToken registered;  // only a handler ever cancels it, while callbacks come and go
    std::atomic<int> handler_wins{0};
    std::atomic<int> thread_wins{0};
    std::atomic<int> calls{0};
    std::atomic<int> expected_calls{0};
};

std::atomic<Round*> current_round{nullptr};
std::atomic<std::uint64_t> handled{0};

void on_signal(int number) {
    handled.fetch_add(1, std::memory_order_relaxed);
    Round* round = current_round.load();
    if (round == nullptr) return;
    if (round->contended.cancel_from_signal(number)) ++round->handler_wins;
    round->registered.cancel_from_signal(number);
    round->waited.cancel_from_signal(number);
}

void work(Round& round, std::size_t index) {
    switch (index % 4) {
        case 0:
            round.waited.wait();
            break;
        case 1:
            while (!round.waited.wait_for(std::chrono::hours(1))) {
            }
            break;
        case 2:
            if (round.contended.cancel(CancelationReason::manual, "a thread was first")) ++round.thread_wins;
            round.waited.wait();
            break;
        default: {
            std::vector<CancelationToken::Registration> kept;
            while (!round.registered.is_cancelled()) {
                const auto brief = round.registered.on_cancel([] {});
                if (kept.size() < 50) {
                    kept.push_back(round.registered.on_cancel([&] { ++round.calls; }));
                    ++round.expected_calls;
                }
            }
            kept.push_back(round.registered.on_cancel([&] { ++round.calls; }));
            ++round.expected_calls;
            round.registered.deliver();
            round.waited.wait();
            // The other thread may be the one that delivers: unregistering would wait for it, or be before
            // it.
            while (round.calls < round.expected_calls)
                std::this_thread::yield();
        }
    }
}

TEST_CASE(
    "a storm of signals into waiting, cancelling and registering threads: nothing hangs, nothing is lost") {
    struct sigaction action{};
    struct sigaction before{};
    action.sa_handler = on_signal;  // without SA_RESTART: a wait has to cope with being interrupted
    REQUIRE(::sigaction(SIGUSR2, &action, &before) == 0);

    const std::size_t rounds = stress::from_environment("CANCELABLE_STRESS_STEPS", 100'000) / 400;
    std::vector<std::unique_ptr<Round>> all;
    for (std::size_t i = 0; i < rounds; ++i)
        all.push_back(std::make_unique<Round>());

    std::barrier gate(static_cast<std::ptrdiff_t>(stress::kThreads));
    std::atomic<std::size_t> ready{0}, finished{0};
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < stress::kThreads; ++index)
        threads.emplace_back([&, index] {
            ++ready;
            for (const auto& round : all) {
                gate.arrive_and_wait();
                if (index == 0) current_round = round.get();
                work(*round, index);
            }
            gate.arrive_and_wait();
            ++finished;
            // Alive until nobody signals it any more.
            while (finished < 2 * stress::kThreads)
                std::this_thread::yield();
        });
    while (ready < stress::kThreads) {
    }
    while (finished < stress::kThreads) {
        for (std::thread& thread : threads)
            ::pthread_kill(thread.native_handle(), SIGUSR2);
        std::this_thread::yield();
    }
    finished = 2 * stress::kThreads;
    for (std::thread& thread : threads)
        thread.join();
    current_round = nullptr;
    ::sigaction(SIGUSR2, &before, nullptr);

    std::size_t disputed = 0, wrong_calls = 0;
    for (const auto& round : all) {
        disputed += round->handler_wins + round->thread_wins != 1;
        wrong_calls += round->calls != round->expected_calls;
    }
    CHECK(disputed == 0);
    CHECK(wrong_calls == 0);
    MESSAGE(rounds << " rounds, " << handled.load() << " signals");
}

}  // namespace
}  // namespace cancelable
