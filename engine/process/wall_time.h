#pragma once

#include <chrono>
#include <ctime>

namespace cancelable {

// A point of the wall clock, as records and people need it. What is measured goes by the monotonic clock.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

// Async-signal-safe, which std::chrono does not promise.
inline WallTime wall_now() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return WallTime(std::chrono::seconds(now.tv_sec) + std::chrono::microseconds(now.tv_nsec / 1000));
}

}  // namespace cancelable
