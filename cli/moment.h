#pragma once

#include <string>

#include "engine/process/error.h"
#include "engine/process/wall_time.h"

namespace cancelable::cli {

// A point in time as people write it: 2026-03-01, 2026-03-01T09:05, 2026-03-01 09:05:30, with a Z behind it
// in UTC and else in the time of the place; or a duration, which is so long before `now`.
Result<WallTime> parse_moment(const std::string& text, WallTime now);

}  // namespace cancelable::cli
