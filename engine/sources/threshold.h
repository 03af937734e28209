#pragma once

#include <chrono>
#include <optional>

namespace cancelable {

// Whether a number has been beyond a bound for so long without a break, as far as it was looked at.
class Threshold {
public:
    using Clock = std::chrono::steady_clock;

    Threshold(double bound, bool is_below, std::chrono::milliseconds hold) noexcept
        : bound_(bound), is_below_(is_below), hold_(hold) {}

    bool update(Clock::time_point at, double value) noexcept {
        const bool beyond = is_below_ ? value < bound_ : value > bound_;
        if (!beyond)
            since_.reset();
        else if (!since_)
            since_ = at;
        return since_ && at - *since_ >= hold_;
    }

private:
    double bound_;
    bool is_below_;
    std::chrono::milliseconds hold_;
    std::optional<Clock::time_point> since_;
};

}  // namespace cancelable
