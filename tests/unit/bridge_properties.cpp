#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "engine/bridge.h"

namespace cancelable {
namespace {

TEST_CASE(
    "property: the bridge reorders no producer, and what it accepted is executed or counted as dropped") {
    CHECK(rc::check([] {
        LoopBridge::Options options;
        options.buffer_size = *rc::gen::inRange<std::size_t>(1, 20);
        const auto producers = *rc::gen::inRange<std::size_t>(1, 4);
        const auto calls_each = *rc::gen::inRange<std::size_t>(0, 60);
        const auto kinds = *rc::gen::container<std::vector<int>>(producers, rc::gen::inRange(0, 3));
        const auto run_before_closing = *rc::gen::inRange<std::size_t>(0, 200);

        Loop loop;
        LoopBridge bridge(loop, options);
        std::vector<std::vector<std::size_t>> ran(producers);
        std::atomic<std::size_t> accepted = 0, dropped = 0, finished = 0;
        std::vector<std::jthread> threads;
        for (std::size_t producer = 0; producer < producers; ++producer)
            threads.emplace_back([&, producer] {
                const WhenFull when_full = kinds[producer] == 0 ? WhenFull::fail()
                                           : kinds[producer] == 1
                                               ? WhenFull::drop()
                                               : WhenFull::block_for(std::chrono::seconds(60));
                for (std::size_t i = 0; i < calls_each; ++i) {
                    const auto outcome =
                        bridge.call_soon([&, producer, i] { ran[producer].push_back(i); }, when_full);
                    if (!outcome) continue;
                    ++accepted;
                    if (*outcome == Accepted::dropped) ++dropped;
                }
                ++finished;
                bridge.cancel_soon([] {});
            });
        while (finished < producers && bridge.counts().executed < run_before_closing)
            loop.run_once(true);
        const bool whole = finished == producers;
        if (whole)
            while (bridge.counts().executed + dropped < accepted)
                loop.run_once(false);
        bridge.close();
        threads.clear();

        std::size_t executed = 0;
        for (const auto& order : ran) {
            executed += order.size();
            RC_ASSERT(std::ranges::is_sorted(order));
            RC_ASSERT(std::ranges::adjacent_find(order) == order.end());
        }
        const auto counts = bridge.counts();
        RC_ASSERT(counts.executed == executed);
        RC_ASSERT(counts.accepted == accepted.load());
        RC_ASSERT(counts.accepted == counts.executed + counts.dropped);
        if (whole) RC_ASSERT(counts.dropped == dropped.load());
    }));
}

}  // namespace
}  // namespace cancelable
