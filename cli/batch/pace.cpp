#include "cli/batch/pace.h"

#include <cmath>

namespace cancelable::cli {
namespace {

constexpr std::chrono::seconds kWhile{30};
constexpr std::chrono::seconds kBetweenSamples{1};

// Beyond it a number is a guess of somebody who has just begun.
constexpr double kLongestSeconds = 100.0 * 24 * 3600;

}  // namespace

void Pace::ended(std::size_t count, Clock::time_point now) {
    count_ = count;
    if (now - samples_.back().at < kBetweenSamples) return;
    samples_.push_back({now, count});
    // The first stays before the while, so that what is measured is never shorter than it.
    while (samples_.size() > 2 && now - samples_[1].at >= kWhile)
        samples_.pop_front();
}

double Pace::rate(Clock::time_point now) const {
    const Sample& from = samples_.front();
    const double seconds = std::chrono::duration<double>(now - from.at).count();
    return seconds <= 0 ? 0 : static_cast<double>(count_ - from.count) / seconds;
}

std::optional<std::chrono::seconds> Pace::remaining(std::size_t left, Clock::time_point now) const {
    if (left == 0) return std::chrono::seconds(0);
    const double rate_now = rate(now);
    if (rate_now <= 0) return std::nullopt;
    const double seconds = std::ceil(static_cast<double>(left) / rate_now);
    if (seconds > kLongestSeconds) return std::nullopt;
    return std::chrono::seconds(static_cast<long long>(seconds));
}

}  // namespace cancelable::cli
