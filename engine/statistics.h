#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "engine/histogram.h"
#include "engine/operation.h"

namespace cancelable {

// The numbers of `stats`; seconds where not said otherwise.
struct Statistics {
    std::uint64_t total_operations = 0;      // ever registered here, and what history holds from before
    std::uint64_t running_operations = 0;    // status running
    std::uint64_t cancelled_operations = 0;  // ended as cancelled or timeout
    std::uint64_t active_operations = 0;     // not ended
    std::map<Status, std::uint64_t> active_by_status;
    std::uint64_t history_size = 0;
    std::map<Status, std::uint64_t> history_by_status;
    std::uint64_t total_completed = 0;
    double average_duration_seconds = 0;
    Percentiles duration;
    Percentiles cancel_latency;   // from request to gone
    std::uint64_t escalated = 0;  // cancelations that needed SIGKILL
};

using StatusCounts = std::array<std::uint64_t, kAllStatuses.size()>;

// Counts operations as they come and end, so that statistics never take a scan. Not thread-safe.
class Tally {
public:
    void add_registered() noexcept { ++registered_; }
    void add_ended(const Operation& operation) noexcept;

    // Fills in what is counted here. The counts by status are those of the present.
    Statistics statistics(const StatusCounts& live, const StatusCounts& history) const;

private:
    std::uint64_t registered_ = 0;
    StatusCounts ended_{};
    std::uint64_t escalated_ = 0;
    Histogram durations_;
    Histogram cancel_latencies_;
};

// Counts the operations that somebody has picked, each of them once. Not thread-safe.
class PickedTally {
public:
    void add(const Operation& operation) noexcept;
    Statistics statistics() const { return tally_.statistics(live_, ended_); }

private:
    Tally tally_;
    StatusCounts live_{};
    StatusCounts ended_{};
};

}  // namespace cancelable
