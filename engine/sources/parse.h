#pragma once

#include <string_view>

#include "engine/process/error.h"
#include "engine/process/wall_time.h"
#include "engine/sources/expression.h"

namespace cancelable {

// Reads a source of cancelation:
//
//   source  = name | name ":" argument { "," argument } { "," option } | ("any" | "all") "(" source { ","
//   source } ")" option  = ("for" | "every") "=" duration
//
// An argument ends at a comma or a closing parenthesis, or stands in quotes: '…' takes everything as it is,
// "…" knows \" and \\. Spaces between the parts mean nothing. Its error is one sentence with the column.
Result<SourceExpression> parse_source(std::string_view text, WallTime now = wall_now());

// A point in time: RFC 3339 (2026-03-01T09:05:00Z, +01:00), or local: 2026-03-01 09:05, 09:05 (the next one),
// both with seconds too.
Result<WallTime> parse_point_in_time(std::string_view text, WallTime now);

// As RFC 3339 in UTC, to the second, or to the microsecond where that is needed.
std::string format_point_in_time(WallTime time);

}  // namespace cancelable
