#pragma once

#include <chrono>

namespace cancelable {

// Whether a number has been beyond a bound for so long without a break, as far as it was looked at.
class Threshold {
public:
    using Clock = std::chrono::steady_clock;

    Threshold(double bound, bool is_below, std::chrono::milliseconds hold) noexcept
        : bound_(bound), is_below_(is_below), hold_(hold) {}

    bool update(Clock::time_point at, double value) noexcept {
        const bool beyond = is_below_ ? value < bound_ : value > bound_;
        if (beyond && !was_beyond_) since_ = at;
        was_beyond_ = beyond;
        return beyond && at - since_ >= hold_;
    }

private:
    double bound_;
    bool is_below_;
    std::chrono::milliseconds hold_;
    bool was_beyond_ = false;
    Clock::time_point since_{};
};

}  // namespace cancelable
