#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>

namespace cancelable::cli {

// How quickly operations end, from those of the last while, and how long the rest will take.
class Pace {
public:
    using Clock = std::chrono::steady_clock;

    explicit Pace(Clock::time_point start) : samples_{{start, 0}} {}

    // So many have ended by now.
    void ended(std::size_t count, Clock::time_point now);

    // A second. 0 where none has ended.
    double rate(Clock::time_point now) const;

    // Nothing where nothing can be said yet.
    std::optional<std::chrono::seconds> remaining(std::size_t left, Clock::time_point now) const;

private:
    struct Sample {
        Clock::time_point at;
        std::size_t count;
    };
    std::deque<Sample> samples_;  // never empty; the first is where the while begins
    std::size_t count_ = 0;
};

}  // namespace cancelable::cli
