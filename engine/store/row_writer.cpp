#include "engine/store/row_writer.h"

#include <string>

#include "engine/store/row.h"

namespace cancelable {

Result<RowWriter> RowWriter::prepare(Database& database) {
    auto known = database.prepare(std::string("SELECT created_at, ended_at, ") + kCountedColumns +
                                  " FROM operations WHERE id = ?");
    if (!known) return std::unexpected(known.error());
    auto insert = database.prepare(std::string("INSERT OR REPLACE INTO operations(") + kRowColumns +
                                   ") VALUES(" + kRowPlaceholders + ")");
    if (!insert) return std::unexpected(insert.error());
    return RowWriter(std::move(*known), std::move(*insert));
}

Result<> RowWriter::put(const Operation& operation, std::string_view owner, TallyChange& change) {
    const auto there = known_.bind(static_cast<std::int64_t>(operation.id())).step();
    if (!there) return std::unexpected(there.error());
    const bool had_ended = *there && known_.optional_integer(1).has_value();
    const bool is_same = *there && known_.integer(0) == operation.spec->created_at.time_since_epoch().count();
    const Counted before = had_ended ? read_counted(known_, 2) : Counted{};
    known_.reset();
    // Who finds no trace of an end may call lost what has ended well.
    const bool knows_less = !is_ended(operation.status) || operation.status == Status::lost;
    if (had_ended && knows_less && (is_same || operation.spec->command.empty())) return {};
    if (had_ended) change.take_away(before);
    const auto details = encode_details(operation);
    bind_row(insert_, operation, owner, details);
    if (auto inserted = insert_.run(); !inserted) return inserted;
    if (is_ended(operation.status)) change.add(counted(operation));
    return {};
}

}  // namespace cancelable
