#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/selector.h"
#include "engine/token.h"

namespace cancelable {

struct Percentiles {
    double p50 = 0;
    double p90 = 0;
    double p99 = 0;
};

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

// One step in an operation's life, as listeners get it.
struct Transition {
    Snapshot before;  // null: just registered
    Snapshot after;
};

// Every operation of this supervisor: the live ones, and the last ones that ended.
//
// Safe from every thread. What it hands out are snapshots: immutable, consistent, and valid as long as they are held.
class Registry {
public:
    struct Options {
        std::size_t history_size = 1000;  // ended operations kept in memory
    };
    Registry();
    explicit Registry(Options options);
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    // Takes a new operation in. Its id must be new here.
    Snapshot register_operation(Operation first);

    // The only way a record changes: `change` edits a copy, the status step is checked against the table in
    // operation.h, and the copy is published. Unknown and ended operations are refused, and so is a forbidden step.
    Result<Snapshot> update(OperationId id, const std::function<void(Operation&)>& change);

    // Forgets an operation, live or ended.
    bool unregister(OperationId id);

    Snapshot get_operation(OperationId id) const;  // null where there is none

    enum class Scope : std::uint8_t { live, live_and_ended };

    // In order of ids. `limit`: the last so many of them.
    std::vector<Snapshot> list(const Selector& selector, Scope scope = Scope::live,
                               std::optional<std::size_t> limit = std::nullopt) const;
    std::vector<Snapshot> children(OperationId parent) const;  // live ones
    std::size_t live_count() const noexcept;

    // The token of a live operation: what cancels it, from any thread.
    std::optional<CancelationToken> token(OperationId id) const;

    Statistics get_statistics() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable
