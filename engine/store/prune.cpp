#include "engine/store/prune.h"

#include <unistd.h>

#include <limits>
#include <utility>

#include "engine/store/tally_rows.h"

namespace cancelable {
namespace {

constexpr int kStep = 500;
constexpr int kPagesGivenBack = 2000;

std::string with_status(const PruneRequest& request) {
    if (request.statuses.empty()) return {};
    std::string list;
    for (const Status status : request.statuses)
        list += (list.empty() ? "'" : ", '") + std::string(to_string(status)) + "'";
    return " AND status IN (" + list + ")";
}

constexpr const char* kEnded =
    " FROM operations INDEXED BY operations_by_ended_at WHERE ended_at IS NOT NULL";

}  // namespace

Pruning::Pruning(PruneRequest request, std::string directory)
    : request_(std::move(request)),
      directory_(std::move(directory)),
      done_{std::numeric_limits<std::int64_t>::min(), 0} {}

namespace {

// Up to and with this one; nothing: none may go.
template <class Place>
Result<std::optional<Place>> find_last(Database& database, const PruneRequest& request) {
    Place last{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()};
    if (request.ended_before) last = {request.ended_before->time_since_epoch().count(), 0};
    if (!request.keep) return last;
    auto newest = database.prepare("SELECT ended_at, id" + std::string(kEnded) + with_status(request) +
                                   " ORDER BY ended_at DESC, id DESC LIMIT 1 OFFSET ?");
    if (!newest) return std::unexpected(newest.error());
    constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    newest->bind(static_cast<std::int64_t>(std::min(*request.keep, kMost)));
    const auto row = newest->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return std::nullopt;
    const Place kept{newest->integer(0), newest->integer(1)};
    if (std::pair(kept.ended_at, kept.id) < std::pair(last.ended_at, last.id)) last = kept;
    return last;
}

}  // namespace

Result<std::vector<OperationId>> Pruning::step(Database& database) {
    if (!last_) {
        const auto last = find_last<Place>(database, request_);
        if (!last) return std::unexpected(last.error());
        if (!*last) return std::vector<OperationId>();
        last_ = **last;
    }
    auto transaction = Transaction::begin(database);
    if (!transaction) return std::unexpected(transaction.error());
    auto rows =
        database.prepare("SELECT ended_at, id, log IS NOT NULL, " + std::string(kCountedColumns) + kEnded +
                         " AND (ended_at, id) > (?, ?) AND (ended_at, id) <= (?, ?)" + with_status(request_) +
                         " ORDER BY ended_at, id LIMIT " + std::to_string(kStep));
    if (!rows) return std::unexpected(rows.error());
    rows->bind(done_.ended_at).bind(done_.id).bind(last_->ended_at).bind(last_->id);
    std::vector<OperationId> gone;
    Place reached = done_;
    PruneResult result = result_;
    TallyChange change;
    for (auto row = rows->step();; row = rows->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        reached = {rows->integer(0), rows->integer(1)};
        gone.push_back(static_cast<OperationId>(reached.id));
        change.take_away(read_counted(*rows, 3));
        ++result.operations;
        if (rows->integer(2) == 0) continue;
        const std::string log = directory_ + "/logs/" + std::to_string(reached.id) + ".log";
        if (::unlink(log.c_str()) == 0) ++result.logs;
    }
    rows->reset();
    if (gone.empty()) {
        // What is free now is given back to the file system, a part each time, so that it takes not long.
        if (auto committed = transaction->commit(); !committed) return std::unexpected(committed.error());
        auto given_back =
            database.execute(("PRAGMA incremental_vacuum(" + std::to_string(kPagesGivenBack) + ")").c_str());
        if (!given_back) return std::unexpected(given_back.error());
        return gone;
    }
    auto forget = database.prepare("DELETE FROM operations WHERE id = ?");
    if (!forget) return std::unexpected(forget.error());
    for (const OperationId id : gone)
        if (auto done = forget->bind(static_cast<std::int64_t>(id)).run(); !done)
            return std::unexpected(done.error());
    change.add_pruned(static_cast<std::int64_t>(gone.size()));
    if (auto applied = change.apply(database); !applied) return std::unexpected(applied.error());
    if (auto committed = transaction->commit(); !committed) return std::unexpected(committed.error());
    done_ = reached;
    result_ = result;
    return gone;
}

Result<PruneResult> count_prunable(Database& database, const PruneRequest& request) {
    struct Place {
        std::int64_t ended_at = 0;
        std::int64_t id = 0;
    };
    const auto last = find_last<Place>(database, request);
    if (!last) return std::unexpected(last.error());
    PruneResult result;
    if (!*last) return result;
    auto count = database.prepare("SELECT count(*), count(log)" + std::string(kEnded) +
                                  " AND (ended_at, id) <= (?, ?)" + with_status(request));
    if (!count) return std::unexpected(count.error());
    const auto row = count->bind((*last)->ended_at).bind((*last)->id).step();
    if (!row) return std::unexpected(row.error());
    result.operations = static_cast<std::uint64_t>(count->integer(0));
    result.logs = static_cast<std::uint64_t>(count->integer(1));
    return result;
}

}  // namespace cancelable
