#include "engine/statistics.h"

#include <numeric>

namespace cancelable {
namespace {

std::uint64_t sum(const StatusCounts& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::map<Status, std::uint64_t> by_status(const StatusCounts& counts) {
    std::map<Status, std::uint64_t> named;
    for (const Status status : kAllStatuses)
        if (const std::uint64_t count = counts[static_cast<std::size_t>(status)]; count != 0)
            named[status] = count;
    return named;
}

}  // namespace

void Tally::add_ended(const Operation& operation) noexcept {
    ++ended_[static_cast<std::size_t>(operation.status)];
    if (operation.duration) durations_.add(*operation.duration);
    if (const auto& cancelation = operation.cancelation) {
        if (cancelation->escalated()) ++escalated_;
        if (cancelation->gone_at) cancel_latencies_.add(*cancelation->gone_at - cancelation->requested_at);
    }
}

Statistics Tally::statistics(const StatusCounts& live, const StatusCounts& history) const {
    const auto ended = [&](Status status) { return ended_[static_cast<std::size_t>(status)]; };
    Statistics all;
    all.total_operations = registered_;
    all.running_operations = live[static_cast<std::size_t>(Status::running)];
    all.cancelled_operations = ended(Status::cancelled) + ended(Status::timeout);
    all.active_operations = sum(live);
    all.active_by_status = by_status(live);
    all.history_size = sum(history);
    all.history_by_status = by_status(history);
    all.total_completed = ended(Status::completed);
    all.average_duration_seconds = durations_.mean_seconds();
    all.duration = durations_.percentiles();
    all.cancel_latency = cancel_latencies_.percentiles();
    all.escalated = escalated_;
    return all;
}

void PickedTally::add(const Operation& operation) noexcept {
    tally_.add_registered();
    const bool has_ended = is_ended(operation.status);
    ++(has_ended ? ended_ : live_)[static_cast<std::size_t>(operation.status)];
    if (has_ended) tally_.add_ended(operation);
}

}  // namespace cancelable
