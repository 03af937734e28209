#include "engine/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cancelable {
namespace {

// Values below 2^kFine have a bucket each; every further doubling is cut into 2^kFine buckets.
constexpr unsigned kFine = 7;
constexpr std::uint64_t kLargest = (std::uint64_t{1} << 44) - 1;

std::size_t bucket_with(std::uint64_t value) noexcept {
    if (value < (1U << kFine)) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kFine - 1;
    return (std::size_t{shift} << kFine) + (value >> shift);
}

std::uint64_t value_of(std::chrono::microseconds duration) noexcept {
    return std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)), kLargest);
}

std::uint64_t middle_of(std::size_t bucket) noexcept {
    if (bucket < (2U << kFine)) return bucket;
    const std::size_t shift = (bucket >> kFine) - 1;
    const std::uint64_t lowest = std::uint64_t{bucket - (shift << kFine)} << shift;
    return lowest + (std::uint64_t{1} << shift) / 2;
}

}  // namespace

Histogram::Histogram() : buckets_(bucket_with(kLargest) + 1) {}

std::size_t Histogram::bucket_of(std::chrono::microseconds duration) noexcept {
    return bucket_with(value_of(duration));
}

void Histogram::add_to_bucket(std::size_t bucket, std::uint64_t number) noexcept {
    if (bucket >= buckets_.size() || number == 0) return;
    const std::uint64_t value = middle_of(bucket);
    buckets_[bucket] += number;
    count_ += number;
    sum_ += static_cast<double>(value) * static_cast<double>(number);
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
}

void Histogram::add(std::chrono::microseconds duration) noexcept {
    const std::uint64_t value = value_of(duration);
    ++buckets_[bucket_with(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
}

double Histogram::mean_seconds() const noexcept {
    return count_ == 0 ? 0 : sum_ / static_cast<double>(count_) / 1e6;
}

double Histogram::percentile_seconds(double share) const noexcept {
    if (count_ == 0) return 0;
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
    std::uint64_t below = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        below += buckets_[bucket];
        if (below >= rank) return static_cast<double>(std::clamp(middle_of(bucket), least_, most_)) / 1e6;
    }
    return static_cast<double>(most_) / 1e6;
}

Percentiles Histogram::percentiles() const noexcept {
    return {percentile_seconds(0.50), percentile_seconds(0.90), percentile_seconds(0.99)};
}

}  // namespace cancelable
