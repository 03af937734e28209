#include "engine/history_writer.h"

#include <utility>

namespace cancelable {

HistoryWriter::HistoryWriter(Loop& loop, Settings settings)
    : settings_(std::move(settings)), timer_(loop, [this] { lose_patience(); }) {}

void HistoryWriter::changed(const Snapshot& operation) {
    if (settings_.store != nullptr) settings_.store->put(operation, Store::Urgency::soon);
}

void HistoryWriter::confirm(const Snapshot& operation, std::function<void()> done) {
    if (settings_.store == nullptr) return done();
    const std::uint64_t number = ++last_confirming_;
    confirming_.emplace(number, std::move(done));
    const auto finish = [this, number] {
        const auto found = confirming_.find(number);
        if (found == confirming_.end()) return;
        const auto call = std::move(found->second);
        confirming_.erase(found);
        call();
    };
    settings_.store->put(operation, Store::Urgency::now, [finish](Store::Stored) { finish(); });
    be_patient(finish);
}

void HistoryWriter::ended(const Snapshot& operation, Source source) {
    const OperationId id = operation->id();
    if (settings_.store == nullptr) {
        if (source.release) source.release();
        if (source.stored) source.stored();
        if (settings_.clear) settings_.clear(id, source);
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        unwritten_.insert_or_assign(id, Ended{operation, std::move(source)});
    }
    settings_.store->put(operation, Store::Urgency::soon,
                         [this, id](Store::Stored stored) { told(id, stored); });
    be_patient([this, id] { told(id, Store::Stored::failing); });
}

void HistoryWriter::told(OperationId id, Store::Stored stored) {
    const auto found = unwritten_.find(id);
    if (found == unwritten_.end()) return;
    if (stored == Store::Stored::failing) {
        Ended& ended = found->second;
        // A shim that is not released keeps the end itself, until the store works again.
        if (!keep_as_record(ended)) return;
        if (const auto release = std::exchange(ended.source.release, nullptr)) release();
        return;
    }
    Ended ended;
    {
        const std::lock_guard lock(mutex_);
        ended = std::move(found->second);
        unwritten_.erase(found);
    }
    if (ended.source.release) ended.source.release();
    if (ended.source.stored) ended.source.stored();
    // Where there is no history, a record stays for a supervisor that has one.
    const bool may_go = stored == Store::Stored::committed || !ended.source.has_record;
    if (may_go && settings_.clear) settings_.clear(id, ended.source);
}

void HistoryWriter::secure(OperationId id) {
    told(id, Store::Stored::failing);
}

bool HistoryWriter::keep_as_record(Ended& ended) {
    if (ended.source.has_record) return true;
    const Operation& operation = *ended.operation;
    ShimReport lost;
    lost.id = operation.id();
    lost.over = true;
    lost.over_at = operation.ended_at.value_or(wall_now());
    lost.started = operation.started_at.has_value();
    lost.started_at = operation.started_at.value_or(WallTime{});
    const auto written = write_exit_record(
        settings_.operations_directory, *operation.spec, ended.source.report ? *ended.source.report : lost,
        ended.source.report ? std::string_view() : std::string_view(operation.error));
    if (!written && !std::exchange(warned_, true) && settings_.warn)
        settings_.warn(written.error().sentence());
    ended.source.has_record = written.has_value();
    return written.has_value();
}

std::vector<Snapshot> HistoryWriter::unwritten() const {
    const std::lock_guard lock(mutex_);
    std::vector<Snapshot> operations;
    operations.reserve(unwritten_.size());
    for (const auto& [id, ended] : unwritten_)
        operations.push_back(ended.operation);
    return operations;
}

bool HistoryWriter::is_unwritten(OperationId id) const {
    const std::lock_guard lock(mutex_);
    return unwritten_.contains(id);
}

void HistoryWriter::finish(std::chrono::steady_clock::time_point deadline) {
    if (settings_.store == nullptr) return;
    settings_.store->flush(deadline);
    std::vector<OperationId> left;
    for (const auto& [id, ended] : unwritten_)
        left.push_back(id);
    for (const OperationId id : left)
        told(id, Store::Stored::failing);
}

// All wait equally long, so they lose their patience in the order in which they came.
void HistoryWriter::be_patient(std::function<void()> then) {
    patient_.emplace_back(Clock::now() + settings_.patience, std::move(then));
    if (!timer_.is_active()) timer_.start(settings_.patience);
}

void HistoryWriter::lose_patience() {
    const auto now = Clock::now();
    while (!patient_.empty() && patient_.front().first <= now) {
        const auto then = std::move(patient_.front().second);
        patient_.pop_front();
        then();
    }
    if (!patient_.empty())
        timer_.start(std::chrono::ceil<std::chrono::milliseconds>(patient_.front().first - now));
}

}  // namespace cancelable
