#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cancelable {

// Why an operation was cancelled. The numbers go over the shim's channel and into records: add, never
// renumber.
enum class CancelationReason : std::uint8_t {
    manual = 0,
    signal = 1,
    timeout = 2,
    condition = 3,
    parent = 4,
    disconnect = 5,
    idle = 6,
    resource = 7,
    shutdown = 8,
    error = 9,
};

std::string_view to_string(CancelationReason reason) noexcept;
std::optional<CancelationReason> parse_reason(std::string_view name) noexcept;

}  // namespace cancelable
