// The tables of history.db, and how an older file becomes one of today.
//
//   operations   one row for each operation that was accepted. `ended_at` is null until it has ended. The
//   columns
//                are for selecting, and for people with sqlite3(1); the rest is in `details` (see row.h)
//   counts       how many ended operations have each status
//   buckets      how many durations, and how many times from a request to cancel to the end, fall into each
//   bucket
//                of a Histogram
//   totals       sums over all ended operations, and how many were pruned
//
// The last three change in the same transaction as the rows that they count, so that statistics never take a
// scan. Environments are nowhere in it.
#pragma once

#include <span>
#include <string>

#include "engine/store/sqlite.h"

namespace cancelable {

// Each brings a file from the version that is its index to the next one.
std::span<const char* const> schema_steps() noexcept;

// What the version of a file says about it.
enum class Fitness : std::uint8_t {
    ready,  // it has the version of the last step, perhaps just now
    newer,  // made by a later version of the program: not for us, and nothing was changed
};

// Brings the database forward in one transaction. Fails as `damaged` where it is no history of ours.
Result<Fitness> migrate(Database& database, std::span<const char* const> steps = schema_steps());

}  // namespace cancelable
