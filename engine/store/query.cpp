// How a query finds its rows: the part of the selector that an index answers best gives the ids, the highest
// first; each is then read by its id and shown to the selector itself, until there are enough. So a sort,
// where one is needed, is one of numbers, and what SQL cannot say of a selector needs no second way to say
// it.
#include "engine/store/query.h"

#include <algorithm>

#include "engine/store/row.h"

namespace cancelable {
namespace {

constexpr std::chrono::minutes kLately{10};
constexpr std::int64_t kMostRecent = 1000;

std::int64_t microseconds_of(WallTime time) {
    return time.time_since_epoch().count();
}

bool matches_glob(std::string_view pattern, std::string_view name) {
    return glob_matches(std::string(pattern), std::string(name));
}

// One query under way.
class Scan {
public:
    Scan(Database& database, const HistoryQuery& query, const Visit& visit)
        : database_(database), query_(query), visit_(visit), limit_(query.limit.value_or(SIZE_MAX)) {}

    Result<> run() {
        auto row = database_.prepare(std::string("SELECT ") + kRowColumns +
                                     " FROM operations WHERE id = ? AND ended_at IS NOT NULL");
        if (!row) return std::unexpected(row.error());
        row_.emplace(std::move(*row));
        const Selector& selector = query_.selector;
        return !selector.ids.empty() && selector.globs.empty() ? look_at_ids() : look_at_index();
    }

private:
    bool has_enough() const { return found_ >= limit_; }

    Result<> look_at_ids() {
        std::vector<OperationId> ids = query_.selector.ids;
        std::ranges::sort(ids, std::greater());
        ids.erase(std::ranges::unique(ids).begin(), ids.end());
        for (const OperationId id : ids) {
            if (has_enough()) break;
            if (auto looked = look_at(static_cast<std::int64_t>(id)); !looked) return looked;
        }
        return {};
    }

    Result<> look_at_index() {
        const Selector& selector = query_.selector;
        std::optional<WallTime> since = selector.since;
        std::optional<WallTime> until = selector.until;
        if (selector.newer_than)
            since = std::max(since.value_or(WallTime::min()), now_ - *selector.newer_than);
        if (selector.older_than)
            until = std::min(until.value_or(WallTime::max()), now_ - *selector.older_than);
        std::string sql = "SELECT id FROM operations ";
        if (query_.key)
            sql += "INDEXED BY operations_by_key WHERE key = ?";
        else if (selector.parent.value_or(0) != 0)
            sql += "INDEXED BY operations_by_parent WHERE parent = ?";
        else if (since)
            sql += "INDEXED BY operations_by_created_at WHERE created_at BETWEEN ? AND ?";
        else if (selector.statuses.size() == 1)
            sql += "INDEXED BY operations_by_status WHERE status = ?";
        else if (selector.name)
            sql += "NOT INDEXED WHERE matches_glob(?, name)";
        else
            sql += "NOT INDEXED";
        auto ids = database_.prepare(sql + " ORDER BY id DESC");
        if (!ids) return std::unexpected(ids.error());
        if (query_.key)
            ids->bind(*query_.key);
        else if (selector.parent.value_or(0) != 0)
            ids->bind(static_cast<std::int64_t>(*selector.parent));
        else if (since)
            ids->bind(microseconds_of(*since)).bind(microseconds_of(until.value_or(WallTime::max())));
        else if (selector.statuses.size() == 1)
            ids->bind(to_string(selector.statuses.front()));
        else if (selector.name)
            ids->bind(*selector.name);
        while (!has_enough()) {
            const auto next = ids->step();
            if (!next) return std::unexpected(next.error());
            if (!*next) break;
            if (auto looked = look_at(ids->integer(0)); !looked) return looked;
        }
        return {};
    }

    Result<> look_at(std::int64_t id) {
        const auto there = row_->bind(id).step();
        if (!there) return std::unexpected(there.error());
        if (*there) {
            Operation operation = read_row(*row_);
            const bool right_key = !query_.key || operation.spec->key == *query_.key;
            if (right_key && query_.selector.matches(operation, now_)) {
                ++found_;
                visit_(std::make_shared<const Operation>(std::move(operation)));
            }
        }
        row_->reset();
        return {};
    }

    Database& database_;
    const HistoryQuery& query_;
    const Visit& visit_;
    const std::size_t limit_;
    const WallTime now_ = wall_now();
    std::optional<Statement> row_;
    std::size_t found_ = 0;
};

}  // namespace

Result<> define_functions(Database& database) {
    return database.define("matches_glob", matches_glob);
}

Result<std::vector<Snapshot>> read_ended(Database& database, const HistoryQuery& query) {
    std::vector<Snapshot> found;
    const Visit collect = [&](const Snapshot& operation) { found.push_back(operation); };
    if (auto done = visit_ended(database, query, collect); !done) return std::unexpected(done.error());
    std::ranges::reverse(found);
    return found;
}

Result<> visit_ended(Database& database, const HistoryQuery& query, const Visit& visit) {
    return Scan(database, query, visit).run();
}

Result<Snapshot> read_ended(Database& database, OperationId id) {
    HistoryQuery query;
    query.selector.ids = {id};
    auto found = read_ended(database, query);
    if (!found) return std::unexpected(found.error());
    return found->empty() ? nullptr : std::move(found->front());
}

Result<Unended> read_unended(Database& database, const std::string& owner, const std::string& boot,
                             const std::vector<OperationId>& asked) {
    Unended unended;
    const auto last = database.number("SELECT max(id) FROM operations");
    if (!last) return std::unexpected(last.error());
    unended.last_id = static_cast<OperationId>(std::max<std::int64_t>(*last, 0));
    auto rows =
        database.prepare(std::string("SELECT ") + kRowColumns +
                         " FROM operations WHERE status IN ('pending', 'running', 'paused', 'cancelling') "
                         "AND (owner = ? OR owner NOT LIKE ? || '%') ORDER BY id");
    if (!rows) return std::unexpected(rows.error());
    rows->bind(owner).bind(boot);
    for (auto row = rows->step();; row = rows->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        unended.operations.push_back(read_row(*rows));
    }
    for (const OperationId id : asked) {
        const auto known = read_ended(database, id);
        if (!known) return std::unexpected(known.error());
        if (*known) unended.ended.push_back(id);
    }
    auto recent = database.prepare(
        "SELECT id FROM operations INDEXED BY operations_by_ended_at WHERE ended_at IS NOT NULL AND ended_at "
        "> ? "
        "AND owner = ? ORDER BY ended_at DESC LIMIT ?");
    if (!recent) return std::unexpected(recent.error());
    recent->bind(microseconds_of(wall_now() - kLately)).bind(owner).bind(kMostRecent);
    for (auto row = recent->step();; row = recent->step()) {
        if (!row) return std::unexpected(row.error());
        if (!*row) break;
        auto operation = read_ended(database, static_cast<OperationId>(recent->integer(0)));
        if (!operation) return std::unexpected(operation.error());
        if (*operation) unended.recent.push_back(std::move(*operation));
    }
    std::ranges::reverse(unended.recent);
    return unended;
}

}  // namespace cancelable
