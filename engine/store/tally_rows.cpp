#include "engine/store/tally_rows.h"

#include <algorithm>

#include "engine/store/row.h"

namespace cancelable {
namespace {

constexpr const char* kDuration = "duration";
constexpr const char* kLatency = "cancel_latency";
constexpr const char* kEscalated = "escalated";
constexpr const char* kPruned = "pruned";

std::uint64_t not_negative(std::int64_t number) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
}

}  // namespace

Counted counted(const Operation& ended) {
    Counted counted;
    counted.status = to_string(ended.status);
    if (ended.duration) counted.duration = ended.duration->count();
    if (const auto latency = cancel_latency(ended)) counted.cancel_latency = latency->count();
    counted.escalated = ended.cancelation && ended.cancelation->escalated();
    return counted;
}

Counted read_counted(const Statement& row, int first_column) {
    return {std::string(row.text(first_column)), row.optional_integer(first_column + 1),
            row.optional_integer(first_column + 2), row.integer(first_column + 3) != 0};
}

void TallyChange::count(const Counted& ended, std::int64_t by) {
    const auto bucket = [](std::int64_t duration) {
        return static_cast<std::int64_t>(Histogram::bucket_of(std::chrono::microseconds(duration)));
    };
    counts_[ended.status] += by;
    if (ended.duration) {
        buckets_[{kDuration, bucket(*ended.duration)}] += by;
        totals_[kDuration] += by * *ended.duration;
    }
    if (ended.cancel_latency) buckets_[{kLatency, bucket(*ended.cancel_latency)}] += by;
    if (ended.escalated) totals_[kEscalated] += by;
}

Result<> TallyChange::apply(Database& database) {
    auto count = database.prepare(
        "INSERT INTO counts VALUES(?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number");
    if (!count) return std::unexpected(count.error());
    for (const auto& [status, by] : counts_)
        if (auto done = count->bind(status).bind(by).run(); !done) return done;
    auto bucket = database.prepare(
        "INSERT INTO buckets VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number");
    if (!bucket) return std::unexpected(bucket.error());
    for (const auto& [place, by] : buckets_)
        if (auto done = bucket->bind(place.first).bind(place.second).bind(by).run(); !done) return done;
    auto total = database.prepare(
        "INSERT INTO totals VALUES(?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number");
    if (!total) return std::unexpected(total.error());
    for (const auto& [name, by] : totals_)
        if (auto done = total->bind(name).bind(by).run(); !done) return done;
    *this = TallyChange();
    return {};
}

Result<Statistics> read_statistics(Database& database, const std::vector<Snapshot>& more) {
    Statistics all;
    Histogram durations;
    Histogram latencies;
    auto counts = database.prepare("SELECT status, number FROM counts WHERE number > 0");
    if (!counts) return std::unexpected(counts.error());
    for (auto row = counts->step();; row = counts->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        if (const auto status = parse_status(counts->text(0)))
            all.history_by_status[*status] += not_negative(counts->integer(1));
    }
    auto buckets = database.prepare("SELECT kind, bucket, number FROM buckets WHERE number > 0");
    if (!buckets) return std::unexpected(buckets.error());
    for (auto row = buckets->step();; row = buckets->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        Histogram& histogram = buckets->text(0) == kDuration ? durations : latencies;
        histogram.add_to_bucket(not_negative(buckets->integer(1)), not_negative(buckets->integer(2)));
    }
    std::map<std::string, std::int64_t, std::less<>> sums;
    auto totals = database.prepare("SELECT name, number FROM totals");
    if (!totals) return std::unexpected(totals.error());
    for (auto row = totals->step();; row = totals->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        sums[std::string(totals->text(0))] = totals->integer(1);
    }

    for (const Snapshot& operation : more) {
        ++all.history_by_status[operation->status];
        if (operation->duration) {
            durations.add(*operation->duration);
            sums[kDuration] += operation->duration->count();
        }
        if (const auto latency = cancel_latency(*operation)) latencies.add(*latency);
        if (operation->cancelation && operation->cancelation->escalated()) ++sums[kEscalated];
    }
    for (const auto& [status, number] : all.history_by_status)
        all.history_size += number;
    const auto ended = [&](Status status) {
        const auto found = all.history_by_status.find(status);
        return found == all.history_by_status.end() ? 0 : found->second;
    };
    all.total_operations = all.history_size + not_negative(sums[kPruned]);
    all.cancelled_operations = ended(Status::cancelled) + ended(Status::timeout);
    all.total_completed = ended(Status::completed);
    all.escalated = not_negative(sums[kEscalated]);
    all.duration = durations.percentiles();
    all.cancel_latency = latencies.percentiles();
    if (durations.count() > 0)
        all.average_duration_seconds =
            static_cast<double>(not_negative(sums[kDuration])) / static_cast<double>(durations.count()) / 1e6;
    return all;
}

}  // namespace cancelable
