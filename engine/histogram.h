#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace cancelable {

struct Percentiles {
    double p50 = 0;
    double p90 = 0;
    double p99 = 0;
};

// Counts durations in buckets whose width grows with their value, so that any number of them takes the same
// small memory and a percentile is wrong by less than half a percent. What passes half a year counts as half
// a year.
//
// Not thread-safe.
class Histogram {
public:
    Histogram();

    void add(std::chrono::microseconds duration) noexcept;

    // For counts that are kept elsewhere. The numbers of the buckets are for ever the same.
    static std::size_t bucket_of(std::chrono::microseconds duration) noexcept;

    // As many durations of that bucket's middle. A bucket that is none is passed over.
    void add_to_bucket(std::size_t bucket, std::uint64_t number) noexcept;

    std::uint64_t count() const noexcept { return count_; }
    double mean_seconds() const noexcept;

    // The smallest duration that `share` (0 to 1) of all are not longer than, in seconds; 0 where there are
    // none.
    double percentile_seconds(double share) const noexcept;
    Percentiles percentiles() const noexcept;

private:
    std::vector<std::uint64_t> buckets_;
    std::uint64_t count_ = 0;
    double sum_ = 0;  // microseconds; the square of none, so a double loses nothing that matters
    std::uint64_t least_ = UINT64_MAX;
    std::uint64_t most_ = 0;
};

}  // namespace cancelable
