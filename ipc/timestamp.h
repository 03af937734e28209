#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "engine/shim/spec.h"

namespace cancelable::ipc {

// As times go over the wire.
template <class Duration>
double seconds(Duration time) noexcept {
    return std::chrono::duration<double>(time).count();
}

// RFC 3339 in UTC with milliseconds: 2026-03-01T09:05:00.250Z. What is finer is cut off.
std::string format_timestamp(WallTime time);

// Exactly what format_timestamp writes.
std::optional<WallTime> parse_timestamp(std::string_view text) noexcept;

}  // namespace cancelable::ipc
