#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/selector.h"
#include "engine/statistics.h"
#include "engine/token.h"
#include "engine/transition_feed.h"

namespace cancelable {

// Every operation of this supervisor: the live ones, and the last ones that ended.
//
// Safe from every thread. What it hands out are snapshots: immutable, consistent, and valid as long as they
// are held. A reader holds the lock while it looks at a few hundred operations, or at what an index has
// picked for it, and then lets others in. So a long list is not of one instant; but whatever is known from
// the call's beginning to its end is in it, once. Functions that are passed in run without the lock, so they
// may use the registry.
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

    // An id that no operation here has or will get from here: for programs whose operations are all their
    // own. A supervisor gives its operations ids that no other one has ever used.
    OperationId reserve_id() noexcept;

    // Takes a new operation in and makes its token, which is linked to that of its parent where that is live:
    // a cancelation of the parent reaches its children with the reason `parent`. One that has ended already
    // (from a record of earlier days) goes into the history, and counts. Throws std::invalid_argument where
    // the operation has no spec, or an id that is known here.
    Snapshot register_operation(Operation first);

    // The only way a record changes: `change` edits a copy, the status step is checked against the table in
    // operation.h, and the copy is published. Unknown and ended operations are refused, and so is a forbidden
    // step. Where another thread has changed the operation meanwhile, `change` runs again, on the new record.
    Result<Snapshot> update(OperationId id, const std::function<void(Operation&)>& change);

    // Forgets an operation, live or ended. Listeners hear nothing of it, and its token is left as it is.
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

    // Sets the operation's token; callbacks run on this thread, before it returns. True where this call was
    // the one that cancelled it, false where it was cancelled before. not_found, or refused where it has
    // ended. The status is changed by whoever runs the operation and watches the token, not here.
    Result<bool> cancel_operation(OperationId id, CancelationReason reason, std::string message = {});

    // As cancel_operation() for all live ones that `selector` picks and `predicate`, where there is one,
    // agrees to. The ids of those that this call cancelled, in their order; children that went with a parent
    // are among them only where they were picked and come first.
    std::vector<OperationId> cancel_all(const Selector& selector, CancelationReason reason,
                                        const std::string& message = {},
                                        const std::function<bool(const Operation&)>& predicate = {});

    // The last `limit` that ended, in the order in which they did; of one status, and ended at `since` or
    // later.
    std::vector<Snapshot> history(std::optional<std::size_t> limit = std::nullopt,
                                  std::optional<Status> status = std::nullopt,
                                  std::optional<WallTime> since = std::nullopt) const;

    // Forgets those that ended longer ago than that; `keep_failed`: but for the failed and the lost. Returns
    // how many.
    std::size_t cleanup(std::chrono::milliseconds older_than, bool keep_failed = false);

    Statistics get_statistics() const;

    // Grows with every published change, so that a client can ask what is new. No lock is taken.
    std::uint64_t revision() const noexcept;

    // Every transition, in order, from now on. The listener runs on the thread whose change it was, before
    // that returns; or, where another thread is at it just then, on that one and soon.
    using Subscription = TransitionFeed::Subscription;
    [[nodiscard]] Subscription subscribe(std::function<void(const Transition&)> listener);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable
