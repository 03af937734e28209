#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "engine/operation.h"
#include "engine/store/sqlite.h"

namespace cancelable {

// One operation as a row of the table `operations`.

// What has no column of its own. Fields are only ever added at the end, as in everything that is written with
// a ByteWriter; what OperationSpec's own encoding gains is in here by itself.
std::vector<std::byte> encode_details(const Operation& operation);

// Changes what the columns have not said. False where the bytes make no sense.
bool decode_details(std::span<const std::byte> details, OperationSpec& spec, Operation& operation);

// The time that a cancelation took, as statistics count it.
std::optional<std::chrono::microseconds> cancel_latency(const Operation& operation) noexcept;

// In the order of kRowColumns; for INSERT.
void bind_row(Statement& statement, const Operation& operation, std::string_view owner,
              std::span<const std::byte> details);

extern const char* const kRowColumns;
extern const char* const kRowPlaceholders;

// Of a SELECT of kRowColumns. A row that was damaged without SQLite's noticing still makes an operation: of
// what its columns say, with an error that tells.
Operation read_row(const Statement& statement);

}  // namespace cancelable
