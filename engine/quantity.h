#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/process/error.h"

namespace cancelable {

// A length of time as people write it: 250ms, 10s, 1.5m, 2h, 1d; a bare number is seconds. Never negative, at
// most a hundred years. What is finer than a millisecond is rounded up, so that only 0 means 0.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// For people: 0ms, 0.4ms, 250ms, 5.2s, 42s, 3m05s, 2h10m, 1d04h. At most two units, cut off and not rounded.
std::string format_duration(std::chrono::microseconds duration);

// Bytes: 4096, 512K, 512M, 2GiB, 1.5TB. Every unit is a power of 1024, whether written K, KB or KiB, in any
// case.
Result<std::uint64_t> parse_size(std::string_view text);

// For people: 0B, 512B, 1.5KiB, 12MiB.
std::string format_size(std::uint64_t bytes);

}  // namespace cancelable
