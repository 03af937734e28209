#pragma once

#include <cstddef>
#include <cstdlib>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

// What the randomized stress tests share. CANCELABLE_STRESS_STEPS is how many steps a test takes in all of
// its threads together, CANCELABLE_STRESS_SEED where its random numbers start.
namespace cancelable::stress {

inline constexpr std::size_t kThreads = 8;

inline std::size_t from_environment(const char* name, std::size_t otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::stoul(value) : otherwise;
}

inline std::size_t steps_per_thread() {
    return from_environment("CANCELABLE_STRESS_STEPS", 100'000) / kThreads;
}

// Runs body(index, random) on all threads at once and joins them.
template <class Body>
void on_all_threads(Body body) {
    const std::size_t seed = from_environment("CANCELABLE_STRESS_SEED", 1);
    std::latch go(kThreads);
    std::vector<std::jthread> threads;
    for (std::size_t index = 0; index < kThreads; ++index)
        threads.emplace_back([&, index] {
            std::mt19937_64 random(seed * kThreads + index);
            go.arrive_and_wait();
            body(index, random);
        });
}

}  // namespace cancelable::stress
