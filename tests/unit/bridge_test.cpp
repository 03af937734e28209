#include "engine/bridge.h"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/thread_state.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

LoopBridge::Options room_for(std::size_t calls, WhenFull when_full = WhenFull::fail()) {
    LoopBridge::Options options;
    options.buffer_size = calls;
    options.when_full = when_full;
    return options;
}

TEST_CASE("calls made before the loop runs are kept, and run in order on the loop's thread") {
    Loop loop;
    LoopBridge bridge(loop, {});
    std::vector<int> ran;
    for (int i = 0; i < 3; ++i)
        CHECK(bridge.call_soon_threadsafe([&](int value) { ran.push_back(value); }, i) == Accepted::queued);
    CHECK(bridge.call_soon_threadsafe([&] { loop.stop(); }));
    CHECK(ran.empty());
    loop.run();
    CHECK(ran == std::vector{0, 1, 2});
    CHECK(bridge.counts().executed == 4);
}

TEST_CASE("arguments are copied, moved and passed on as with std::thread") {
    Loop loop;
    LoopBridge bridge(loop, {});
    std::string text = "before";
    int target = 0;
    std::string seen;
    CHECK(bridge.call_soon_threadsafe(
        [&](std::string copy, std::unique_ptr<int> owned, int& reference) {
            seen = std::move(copy);
            reference = *owned;
        },
        text, std::make_unique<int>(9), std::ref(target)));
    text = "after";
    loop.run_once(true);
    CHECK(seen == "before");
    CHECK(target == 9);
}

TEST_CASE("another thread wakes a loop that sleeps") {
    Loop loop;
    LoopBridge bridge(loop, {});
    std::thread::id ran_on;
    std::thread caller([&] {
        CHECK(bridge.call_soon_threadsafe([&] {
            ran_on = std::this_thread::get_id();
            loop.stop();
        }));
    });
    loop.run();
    caller.join();
    CHECK(ran_on == std::this_thread::get_id());
}

TEST_CASE("a full queue fails, drops with a count, or blocks until the deadline, as the caller chose") {
    Loop loop;
    LoopBridge bridge(loop, room_for(2));
    int ran = 0;
    const auto call = [&] { ++ran; };
    CHECK(bridge.call_soon_threadsafe(call));
    CHECK(bridge.call_soon_threadsafe(call));
    CHECK(bridge.call_soon_threadsafe(call).error().code == ErrorCode::limit);
    CHECK(bridge.call_soon(call, WhenFull::drop()) == Accepted::dropped);
    std::thread([&] {
        CHECK(bridge.call_soon(call, WhenFull::block_for(5ms)).error().code == ErrorCode::limit);
    }).join();
    loop.run_once(true);
    CHECK(ran == 2);
    CHECK(bridge.counts().accepted == 3);
    CHECK(bridge.counts().executed == 2);
    CHECK(bridge.counts().dropped == 1);
    CHECK(bridge.call_soon_threadsafe(call));
}

TEST_CASE("blocked callers go on as soon as there is room") {
    Loop loop;
    LoopBridge bridge(loop, room_for(1, WhenFull::block_for(1min)));
    int ran = 0;
    CHECK(bridge.call_soon_threadsafe([&] { ++ran; }));
    std::vector<std::thread> callers;
    for (int i = 0; i < 3; ++i)
        callers.emplace_back([&] { CHECK(bridge.call_soon_threadsafe([&] { ++ran; }) == Accepted::queued); });
    while (ran < 4)
        loop.run_once(true);
    for (auto& caller : callers)
        caller.join();
    CHECK(ran == 4);
}

TEST_CASE("a caller who was blocked wakes a loop that has gone to sleep meanwhile") {
    for (int round = 0; round < 20; ++round) {
        Loop loop;
        LoopBridge bridge(loop, room_for(1, WhenFull::block_for(1h)));
        int ran = 0;
        std::atomic<pid_t> tid = 0;
        CHECK(bridge.call_soon_threadsafe([&] { ++ran; }));
        std::thread blocked([&] {
            tid = ::gettid();
            CHECK(bridge.call_soon_threadsafe([&] { ++ran; }));
        });
        while (tid == 0)
            std::this_thread::yield();
        testing::wait_until_asleep(tid);
        for (int i = 0; i < 3; ++i)
            loop.run_once(false);
        while (ran < 2)
            loop.run_once(true);
        blocked.join();
    }
}

TEST_CASE("blocking on the loop's own thread fails at once instead of for ever") {
    Loop loop;
    LoopBridge bridge(loop, room_for(1, WhenFull::block_for(1h)));
    std::optional<Error> error;
    CHECK(bridge.call_soon_threadsafe([&] {
        CHECK(bridge.call_soon_threadsafe([] {}));
        error = bridge.call_soon_threadsafe([] {}).error();
    }));
    loop.run_once(true);
    REQUIRE(error);
    CHECK(error->code == ErrorCode::limit);
}

TEST_CASE("a cancelation is taken in however full the queue is, and runs before what is queued") {
    Loop loop;
    LoopBridge bridge(loop, room_for(2));
    std::vector<std::string> ran;
    CancelationToken token;
    const auto watch = bridge.on_cancel(token, [&] { ran.push_back("watched"); });
    CHECK(bridge.call_soon_threadsafe([&] {
        ran.push_back("first");
        token.cancel(CancelationReason::manual);
    }));
    CHECK(bridge.call_soon_threadsafe([&] { ran.push_back("second"); }));
    CHECK_FALSE(bridge.call_soon_threadsafe([] {}));
    CHECK(bridge.cancel_soon([&] { ran.push_back("cancel"); }));
    loop.run_once(true);
    CHECK(ran == std::vector<std::string>{"cancel", "first", "watched", "second"});
}

TEST_CASE("a watched token calls once, in the loop, also where it was cancelled before") {
    Loop loop;
    LoopBridge bridge(loop, {});
    CancelationToken token;
    int calls = 0;
    const auto early = bridge.on_cancel(token, [&] { ++calls; });
    token.cancel(CancelationReason::manual);
    const auto late = bridge.on_cancel(token, [&] { ++calls; });
    CHECK(calls == 0);
    loop.run_once(true);
    loop.run_once(false);
    CHECK(calls == 2);
}

TEST_CASE(
    "a token watch that is gone calls no more, not even from the queue, and may go inside its callback") {
    Loop loop;
    LoopBridge bridge(loop, {});
    CancelationToken token;
    int calls = 0;
    std::optional<LoopBridge::TokenWatch> gone(bridge.on_cancel(token, [&] { calls += 10; }));
    std::optional<LoopBridge::TokenWatch> own;
    own.emplace(bridge.on_cancel(token, [&] {
        own.reset();
        ++calls;
    }));
    token.cancel(CancelationReason::manual);
    gone.reset();
    loop.run_once(true);
    CHECK(calls == 1);
}

TEST_CASE("a token that is used after its loop is gone calls nobody and harms nobody") {
    CancelationToken token;
    std::optional<LoopBridge::TokenWatch> watch;
    int calls = 0;
    {
        Loop loop;
        LoopBridge bridge(loop, {});
        watch.emplace(bridge.on_cancel(token, [&] { ++calls; }));
    }
    CHECK(token.cancel(CancelationReason::manual));
    watch.reset();
    CHECK(calls == 0);
}

TEST_CASE("a closed bridge refuses calls, drops queued ones with a count, and still runs cancelations") {
    Loop loop;
    LoopBridge bridge(loop, {});
    int calls = 0, cancelations = 0;
    CHECK(bridge.call_soon_threadsafe([&] { ++calls; }));
    CHECK(bridge.cancel_soon([&] { ++cancelations; }));
    bridge.close();
    bridge.close();
    CHECK(calls == 0);
    CHECK(cancelations == 1);
    CHECK(bridge.counts().dropped == 1);
    CHECK(bridge.call_soon_threadsafe([&] { ++calls; }).error().code == ErrorCode::refused);
    CHECK(bridge.call_soon([&] { ++calls; }, WhenFull::drop()).error().code == ErrorCode::refused);
    CHECK_FALSE(bridge.cancel_soon([&] { ++cancelations; }));
    CHECK(bridge.counts().accepted == 1);
}

TEST_CASE("closing sends blocked callers away") {
    Loop loop;
    LoopBridge bridge(loop, room_for(1, WhenFull::block_for(1h)));
    CHECK(bridge.call_soon_threadsafe([] {}));
    std::latch about_to(1);
    std::thread caller([&] {
        about_to.count_down();
        CHECK(bridge.call_soon_threadsafe([] {}).error().code == ErrorCode::refused);
    });
    about_to.wait();
    bridge.close();
    caller.join();
}

TEST_CASE("the bridge may be closed, and destroyed, from a call") {
    Loop loop;
    auto bridge = std::make_unique<LoopBridge>(loop, LoopBridge::Options{});
    int ran = 0;
    CHECK(bridge->call_soon_threadsafe([&] {
        ++ran;
        bridge.reset();
    }));
    CHECK(bridge->call_soon_threadsafe([&] { ++ran; }));
    loop.run();  // ends, for no handle is left
    CHECK(ran == 1);
}

TEST_CASE("what a call throws is logged, and the next one runs") {
    Loop loop;
    std::vector<std::string> log;
    LoopBridge::Options options;
    options.log = [&](const std::string& line) { log.push_back(line); };
    LoopBridge bridge(loop, options);
    int ran = 0;
    CHECK(bridge.call_soon_threadsafe([] { throw std::runtime_error("bad input"); }));
    CHECK(bridge.call_soon_threadsafe([] { throw 1; }));
    CHECK(bridge.call_soon_threadsafe([&] { ++ran; }));
    loop.run_once(true);
    CHECK(ran == 1);
    CHECK(log == std::vector<std::string>{"a call into the loop threw: bad input",
                                          "a call into the loop threw what is no exception"});
    CHECK(bridge.counts().threw == 2);
    CHECK(bridge.counts().executed == 3);
}

TEST_CASE("calls that beget calls leave the loop's other handles their turn") {
    Loop loop;
    LoopBridge bridge(loop, room_for(1));
    bool timer_ran = false;
    Timer timer(loop, [&] {
        timer_ran = true;
        loop.stop();
    });
    std::function<void()> again = [&] { (void)bridge.call_soon_threadsafe(again); };
    again();
    timer.start(0ms);
    loop.run();
    CHECK(timer_ran);
}

TEST_CASE("blocking work comes back into the loop, or is given up at once when its token is set") {
    Loop loop;
    LoopBridge bridge(loop, {});
    CancelationToken token;
    std::latch go(1);
    std::optional<Outcome<int>> finished, cancelled;
    std::thread::id done_on;
    bridge.run_in_thread([] { return 6; }, {},
                         [&](Outcome<int> outcome) {
                             done_on = std::this_thread::get_id();
                             finished = std::move(outcome);
                         });
    bridge.run_in_thread(
        [&] {
            go.wait();
            return 7;
        },
        token, [&](Outcome<int> outcome) { cancelled = std::move(outcome); });
    CHECK(bridge.run_in_thread([] { return 8; }).get() == 8);
    while (!finished)
        loop.run_once(true);
    CHECK(*finished == 6);
    CHECK(done_on == std::this_thread::get_id());
    token.cancel(CancelationReason::manual);
    while (!cancelled)
        loop.run_once(true);
    CHECK(cancelled->error().cancelled == CancelationReason::manual);
    go.count_down();
}

TEST_CASE("a cancelation goes before the results of blocking work that wait already") {
    Loop loop;
    LoopBridge bridge(loop, {.max_workers = 1});
    CancelationToken token;
    std::string order;
    const auto watch = bridge.on_cancel(token, [&] { order += "cancelled "; });
    for (int i = 0; i < 2; ++i)
        bridge.run_in_thread([] {}, CancelationToken(),
                             [&](Outcome<void>) {
                                 order += "done ";
                                 token.cancel(CancelationReason::manual);
                             });
    CHECK(bridge.run_in_thread([] {}).get());  // by the same worker, so both have been handed back
    loop.run_once(true);
    CHECK(order == "done cancelled done ");
}

TEST_CASE("many producers at once are refused nothing as long as there is room") {
    constexpr int kProducers = 4, kCalls = 5000;
    Loop loop;
    LoopBridge bridge(loop, room_for(kProducers * kCalls, WhenFull::fail()));
    std::atomic<int> refused = 0;
    {
        std::vector<std::jthread> producers;
        for (int producer = 0; producer < kProducers; ++producer)
            producers.emplace_back([&] {
                for (int i = 0; i < kCalls; ++i)
                    refused += bridge.call_soon_threadsafe([] {}).has_value() ? 0 : 1;
            });
    }
    CHECK(refused == 0);
    CHECK(bridge.call_soon_threadsafe([] {}).error().code == ErrorCode::limit);
}

TEST_CASE("a delivered signal leaves its loop at rest") {
    Loop loop;
    CancelationToken token;
    const auto delivery = SignalDelivery::make(loop, token);
    REQUIRE(delivery);
    token.cancel_from_signal(SIGTERM);
    loop.run();  // returns, since nothing is left to wait for
    CHECK(token.is_cancelled());
}

TEST_CASE("a cancelation in a signal handler reaches callbacks through the loop") {
    Loop loop;
    CancelationToken token, child;
    child.link(token, true);
    int calls = 0;
    const auto registration = token.on_cancel([&] { ++calls; });
    auto delivery = SignalDelivery::make(loop, token);
    REQUIRE(delivery);
    token.cancel_from_signal(SIGTERM);
    CHECK(calls == 0);
    loop.run_once(true);
    loop.run_once(false);
    CHECK(calls == 1);
    CHECK(child.signal_number() == SIGTERM);
}

}  // namespace
}  // namespace cancelable
