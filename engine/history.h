#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "engine/history_writer.h"
#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/registry.h"
#include "engine/store.h"

namespace cancelable {

// The operations of the registry, those on their way to the store and those in it, as one. Each is there
// once, and what has ended is shown as that.
//
// Everything blocks while the database is read, and is for worker threads.
class History {
public:
    // All must outlive it.
    History(const Registry& registry, const HistoryWriter& writer, Store& store)
        : registry_(registry), writer_(writer), store_(store) {}

    struct Found {
        std::vector<Snapshot> operations;  // in order of ids
        std::optional<Error> trouble;      // the database could not be read: this is what memory knows
    };

    // Live and ended ones.
    Found list(const HistoryQuery& query, const CancelationToken& token = {}) const;
    Result<Snapshot> find(OperationId id) const;  // null: there is none

    // Fails where the database cannot be read.
    Result<Statistics> statistics(const CancelationToken& token = {}) const;

    // Of those that a selector picks. Looks at each of them, so it may take seconds where they are many.
    struct PickedStatistics {
        Statistics numbers;
        std::optional<Error> trouble;  // as above
    };
    PickedStatistics statistics(const Selector& selector, const CancelationToken& token = {}) const;

    Store& store() const noexcept { return store_; }

private:
    const Registry& registry_;
    const HistoryWriter& writer_;
    Store& store_;
};

}  // namespace cancelable
