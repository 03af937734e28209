#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"
#include "engine/selector.h"
#include "engine/store/sqlite.h"

namespace cancelable {

// Which ended operations are wanted.
struct HistoryQuery {
    Selector selector;
    std::optional<std::size_t> limit;  // the last so many
    std::optional<std::string> key;    // the one that was run with this key
};

// To be called once for each connection that the functions below are given.
Result<> define_functions(Database& database);

// In order of ids. Operations that were accepted and have not ended are none of history.
Result<std::vector<Snapshot>> read_ended(Database& database, const HistoryQuery& query);

// As read_ended(), in no order, one after the other: so that any number of them can be looked at.
using Visit = std::function<void(const Snapshot&)>;
Result<> visit_ended(Database& database, const HistoryQuery& query, const Visit& visit);

// Null where there is none that has ended.
Result<Snapshot> read_ended(Database& database, OperationId id);

// Those of `owner` that were accepted and never ended, with what their rows know; all of those whose owner
// was of another boot of the machine as well. `last_id` is the highest there is.
struct Unended {
    std::vector<Operation> operations;
    OperationId last_id = 0;
    std::vector<OperationId> ended;  // of those that were asked about
    std::vector<Snapshot>
        recent;  // that ended lately, the last one last: their clients may still ask for them
};
Result<Unended> read_unended(Database& database, const std::string& owner, const std::string& boot,
                             const std::vector<OperationId>& asked);

}  // namespace cancelable
