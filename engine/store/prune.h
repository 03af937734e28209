#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/operation.h"
#include "engine/store/sqlite.h"

namespace cancelable {

// Which ended operations are to be forgotten: those that meet everything that is said. Live ones never are.
struct PruneRequest {
    std::optional<WallTime> ended_before;
    std::optional<std::size_t> keep;  // not the so many that ended last, of those with such a status
    std::vector<Status> statuses;     // empty: any
};

struct PruneResult {
    std::uint64_t operations = 0;
    std::uint64_t logs = 0;
};

// What a request comes to, without touching anything.
Result<PruneResult> count_prunable(Database& database, const PruneRequest& request);

// Works a request off in steps, each a transaction of its own, so that what is to be written meanwhile need
// not wait for all of it.
class Pruning {
public:
    // Logs are in `directory`/logs.
    Pruning(PruneRequest request, std::string directory);

    // The ids that are gone now; none: it is done. Logs are removed first, so that a crash in between leaves
    // a row without its log for the next time, and not a log that nobody knows of.
    Result<std::vector<OperationId>> step(Database& database);

    const PruneResult& result() const noexcept { return result_; }

private:
    PruneRequest request_;
    std::string directory_;
    PruneResult result_;
    struct Place {
        std::int64_t ended_at = 0;
        std::int64_t id = 0;
    };
    std::optional<Place> last_;  // the newest that may go; found by the first step
    Place done_;
};

}  // namespace cancelable
