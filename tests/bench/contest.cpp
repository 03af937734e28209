#include "tests/bench/contest.h"

#include <chrono>
#include <cstddef>

namespace cancelable::bench {

void take_turns(std::span<Contestant> contestants, int rounds) {
    using Clock = std::chrono::steady_clock;
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            Contestant& contestant = contestants[(i + static_cast<std::size_t>(round)) % contestants.size()];
            if (contestant.prepare) contestant.prepare();
            const auto start = Clock::now();
            contestant.measured();
            contestant.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        }
    }
}

}  // namespace cancelable::bench
