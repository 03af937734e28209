#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "engine/bridge.h"
#include "tests/unit/stress.h"

namespace cancelable {
namespace {

TEST_CASE(
    "the bridge under stress: no producer reordered, accepted is executed or dropped, no cancelation lost") {
    Loop loop;
    LoopBridge::Options options;
    options.buffer_size = 64;
    LoopBridge bridge(loop, options);
    std::array<std::uint64_t, stress::kThreads> last{};  // of the loop's thread
    std::uint64_t reordered = 0, cancelations_run = 0;
    std::atomic<std::uint64_t> accepted = 0, refused = 0, cancelations_asked = 0, done = 0;

    std::thread producers([&] {
        stress::on_all_threads([&](std::size_t index, std::mt19937_64& random) {
            for (std::uint64_t i = 1; i <= stress::steps_per_thread(); ++i) {
                if (random() % 64 == 0) {
                    CancelationToken token;
                    if (bridge.cancel_soon([&] { ++cancelations_run; })) ++cancelations_asked;
                    continue;
                }
                const WhenFull when_full = random() % 3 == 0 ? WhenFull::fail()
                                           : random() % 2 == 0
                                               ? WhenFull::drop()
                                               : WhenFull::block_for(std::chrono::seconds(60));
                const auto outcome = bridge.call_soon(
                    [&, index, i] {
                        reordered += i <= last[index] ? 1 : 0;
                        last[index] = i;
                    },
                    when_full);
                ++(outcome ? accepted : refused);
            }
        });
        done = 1;
        bridge.cancel_soon([] {});
    });
    // The last tenth finds the bridge closing.
    while (done == 0 && bridge.counts().executed < stress::steps_per_thread() * stress::kThreads / 3)
        loop.run_once(true);
    bridge.close();
    producers.join();
    CHECK(reordered == 0);
    CHECK(cancelations_run == cancelations_asked);
    const auto counts = bridge.counts();
    CHECK(counts.accepted == accepted);
    CHECK(counts.accepted == counts.executed + counts.dropped);
    MESSAGE("accepted " << accepted.load() << ", dropped " << counts.dropped << ", refused "
                        << refused.load());
}

}  // namespace
}  // namespace cancelable
