#include "engine/operation.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace cancelable {
namespace {

constexpr std::array<std::string_view, kAllStatuses.size()> kNames{
    "pending", "running", "paused", "cancelling", "completed", "failed", "cancelled", "timeout", "lost"};

constexpr std::array<std::string_view, 3> kHookEvents{"start", "cancel", "end"};

constexpr unsigned bit(Status status) {
    return 1U << static_cast<unsigned>(status);
}

constexpr unsigned kCutShort = bit(Status::cancelled) | bit(Status::timeout) | bit(Status::lost);

// For each state, those that it may become.
constexpr std::array<unsigned, kAllStatuses.size()> kSteps{
    bit(Status::running) | bit(Status::cancelling) | bit(Status::failed) | kCutShort,
    bit(Status::paused) | bit(Status::cancelling) | bit(Status::completed) | bit(Status::failed) | kCutShort,
    bit(Status::running) | bit(Status::cancelling) | bit(Status::completed) | bit(Status::failed) | kCutShort,
    kCutShort,
};

}  // namespace

std::string_view to_string(Status status) noexcept {
    const auto index = static_cast<std::size_t>(status);
    return index < kNames.size() ? kNames[index] : "lost";
}

std::optional<Status> parse_status(std::string_view name) noexcept {
    const auto found = std::ranges::find(kNames, name);
    if (found == kNames.end()) return std::nullopt;
    return static_cast<Status>(found - kNames.begin());
}

std::string_view to_string(HookEvent event) noexcept {
    const auto index = static_cast<std::size_t>(event);
    return index < kHookEvents.size() ? kHookEvents[index] : "end";
}

std::optional<HookEvent> parse_hook_event(std::string_view name) noexcept {
    const auto found = std::ranges::find(kHookEvents, name);
    if (found == kHookEvents.end()) return std::nullopt;
    return static_cast<HookEvent>(found - kHookEvents.begin());
}

bool may_become(Status from, Status to) noexcept {
    return (kSteps[static_cast<std::size_t>(from)] & bit(to)) != 0;
}

bool Cancelation::escalated() const noexcept {
    return std::ranges::find(signals, SIGKILL) != signals.end();
}

}  // namespace cancelable
