#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace cancelable {

// What the tree below a shim uses, the shim itself left out.
struct TreeUsage {
    std::uint64_t rss_bytes = 0;
    std::uint64_t processes = 0;
    std::chrono::microseconds cpu{0};  // of all that ever ran in it, as far as it was reaped
    friend bool operator==(const TreeUsage&, const TreeUsage&) = default;
};

struct HostUsage {
    double memory_percent = 0;  // of what there is, not available to a program that wants it
    double load = 0;            // runnable and blocked processes, over the last minute
};

// Where the sources that look at processes and at the machine get their numbers. An interface, so that a test
// can make them up, and their times with them.
class Sampling {
public:
    using Clock = std::chrono::steady_clock;
    using OnTree = std::function<void(Clock::time_point, const TreeUsage&)>;
    using OnHost = std::function<void(Clock::time_point, const HostUsage&)>;

    // Letting go of it ends the calls; also from within one.
    using Subscription = std::shared_ptr<const void>;

    virtual ~Sampling() = default;

    // Called on the loop, each period, while the subscription is kept. `shim` is alive as long as that is.
    [[nodiscard]] virtual Subscription of_tree(pid_t shim, OnTree callback) = 0;
    [[nodiscard]] virtual Subscription of_host(OnHost callback) = 0;
};

}  // namespace cancelable
