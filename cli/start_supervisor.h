#pragma once

#include <cstdint>
#include <string>

#include "engine/process/error.h"

namespace cancelable::cli {

enum class Started : std::uint8_t {
    ready,  // it listens
    busy,   // another one holds the lock: it listens, or will in a moment, or is about to leave
    died,   // it ended before it was ready, without a word
};

// The sentence for that.
inline constexpr const char* kDiedEarly =
    "the supervisor ended before it was ready: run \"cancelable supervisor run\" to see why";

struct SupervisorCommand {
    std::string socket;     // absolute
    std::string config;     // absolute; empty: its default
    bool on_demand = true;  // it leaves when it has been idle for long enough
};

// Starts a supervisor of its own session, that has nothing of ours but the environment, and waits until it is
// ready or has said why it cannot be. Two that are started at once settle it by the lock of the runtime
// directory.
Result<Started> start_supervisor(const SupervisorCommand& command);

}  // namespace cancelable::cli
