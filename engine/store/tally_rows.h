#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/operation.h"
#include "engine/statistics.h"
#include "engine/store/sqlite.h"

namespace cancelable {

// What statistics count of an ended operation: just what its row's columns say, so that what is taken away
// some day is what was added.
struct Counted {
    std::string status;
    std::optional<std::int64_t> duration;  // microseconds
    std::optional<std::int64_t> cancel_latency;
    bool escalated = false;
};
Counted counted(const Operation& ended);
inline constexpr const char* kCountedColumns = "status, duration, cancel_latency, escalated";
Counted read_counted(const Statement& row, int first_column);

// What a transaction changes of the tables counts, buckets and totals.
class TallyChange {
public:
    void add(const Counted& ended) { count(ended, 1); }
    void take_away(const Counted& ended) { count(ended, -1); }
    void add_pruned(std::int64_t number) { totals_["pruned"] += number; }

    // Within the transaction that changes the rows. Afterwards there is nothing to change any more.
    Result<> apply(Database& database);

private:
    void count(const Counted& ended, std::int64_t by);

    std::map<std::string, std::int64_t> counts_;
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> buckets_;
    std::map<std::string, std::int64_t> totals_;
};

// The numbers of all ended operations in the database and of `more`, which are not in it. What is of the
// present (running, active) is left at zero.
Result<Statistics> read_statistics(Database& database, const std::vector<Snapshot>& more);

}  // namespace cancelable
