#include "engine/store/schema.h"

#include <array>

namespace cancelable {
namespace {

constexpr std::int64_t kApplicationId = 0x6361'6e63;  // "canc"

constexpr std::array kSteps{
    R"(
CREATE TABLE operations(
  id INTEGER PRIMARY KEY,
  status TEXT NOT NULL,
  name TEXT NOT NULL,
  parent INTEGER,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  duration INTEGER,
  exit_code INTEGER,
  exit_signal INTEGER,
  cancel_reason TEXT,
  cancel_latency INTEGER,
  escalated INTEGER NOT NULL,
  owner TEXT,
  key TEXT,
  log TEXT,
  details BLOB NOT NULL
);
CREATE INDEX operations_by_status ON operations(status);
CREATE INDEX operations_by_created_at ON operations(created_at);
CREATE INDEX operations_by_ended_at ON operations(ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX operations_by_parent ON operations(parent) WHERE parent IS NOT NULL;
CREATE INDEX operations_by_key ON operations(key) WHERE key IS NOT NULL;
CREATE TABLE counts(status TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE buckets(kind TEXT, bucket INTEGER, number INTEGER NOT NULL, PRIMARY KEY(kind, bucket)) WITHOUT ROWID;
CREATE TABLE totals(name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
)",
};

std::string set_pragma(const char* name, std::int64_t value) {
    return "PRAGMA " + std::string(name) + " = " + std::to_string(value);
}

}  // namespace

std::span<const char* const> schema_steps() noexcept {
    return kSteps;
}

Result<Fitness> migrate(Database& database, std::span<const char* const> steps) {
    const auto newest = static_cast<std::int64_t>(steps.size());
    const auto version = database.number("PRAGMA user_version");
    if (!version) return std::unexpected(version.error());
    const auto application = database.number("PRAGMA application_id");
    if (!application) return std::unexpected(application.error());
    if (*version > 0 && *application != kApplicationId)
        return failure(ErrorCode::damaged, "the history is damaged: it is some other program's database");
    if (*version > newest) return Fitness::newer;
    if (*version < 0) return failure(ErrorCode::damaged, "the history is damaged: its version is negative");
    if (*version == newest) return Fitness::ready;
    if (*version == 0) {
        const auto tables = database.number("SELECT count(*) FROM sqlite_schema");
        if (!tables) return std::unexpected(tables.error());
        if (*tables != 0)
            return failure(ErrorCode::damaged, "the history is damaged: it has tables and no version");
        // Both are only possible while there is nothing in it.
        if (auto set = database.execute("PRAGMA auto_vacuum = INCREMENTAL"); !set)
            return std::unexpected(set.error());
        if (auto set = database.execute("PRAGMA journal_mode = WAL"); !set)
            return std::unexpected(set.error());
    }
    auto transaction = Transaction::begin(database);
    if (!transaction) return std::unexpected(transaction.error());
    for (auto step = static_cast<std::size_t>(*version); step < steps.size(); ++step)
        if (auto done = database.execute(steps[step]); !done) return std::unexpected(done.error());
    for (const std::string& pragma :
         {set_pragma("application_id", kApplicationId), set_pragma("user_version", newest)})
        if (auto set = database.execute(pragma.c_str()); !set) return std::unexpected(set.error());
    if (auto committed = transaction->commit(); !committed) return std::unexpected(committed.error());
    return Fitness::ready;
}

}  // namespace cancelable
