#include "tests/bench/contest.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <random>

namespace cancelable::bench {

void take_turns(std::span<Contestant> contestants, int rounds) {
    using Clock = std::chrono::steady_clock;
    std::vector<std::size_t> order(contestants.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937 random;  // the same order in each run
    for (int round = 0; round < rounds; ++round) {
        std::ranges::shuffle(order, random);
        for (const std::size_t next : order) {
            Contestant& contestant = contestants[next];
            if (contestant.prepare) contestant.prepare();
            const auto start = Clock::now();
            contestant.measured();
            contestant.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        }
    }
}

}  // namespace cancelable::bench
