#include "engine/process/reason.h"

#include <array>

namespace cancelable {
namespace {

constexpr std::array<std::string_view, 10> kNames{"manual",     "signal", "timeout",  "condition", "parent",
                                                  "disconnect", "idle",   "resource", "shutdown",  "error"};

}  // namespace

std::string_view to_string(CancelationReason reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    return index < kNames.size() ? kNames[index] : kNames[9];
}

std::optional<CancelationReason> parse_reason(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kNames.size(); ++i)
        if (kNames[i] == name) return static_cast<CancelationReason>(i);
    return std::nullopt;
}

}  // namespace cancelable
