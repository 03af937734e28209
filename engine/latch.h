#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/process/error.h"
#include "engine/process/reason.h"
#include "engine/shim/spec.h"

namespace cancelable {

// What a cancelation was, once and for all.
struct Verdict {
    CancelationReason reason = CancelationReason::manual;
    int signal_number = 0;  // where a signal handler set it; 0: it was no signal
    std::string message;
    WallTime at{};
};

// The bare latch under a CancelationToken: set once, read from anywhere, without a lock.
//
// One 64-bit word holds everything: 0 while unset; else either the packed reason, signal and time (lowest bit
// 1), or the address of a Verdict on the heap, for those that have a message. So one compare-and-swap both
// decides the winner and publishes all that it said, and a signal handler needs no memory to do it.
class CancelLatch {
public:
    CancelLatch() noexcept = default;
    ~CancelLatch();
    CancelLatch(const CancelLatch&) = delete;
    CancelLatch& operator=(const CancelLatch&) = delete;

    bool is_set() const noexcept { return word_.load(std::memory_order_acquire) != 0; }

    // True for the one call that set it. Where memory for the message cannot be had, the latch is set without
    // it. `verdict.at` is not looked at: the time is now.
    bool set(Verdict verdict) noexcept;

    // As set(), async-signal-safe; the message is then the signal's name. errno is kept.
    bool set_from_signal(int signal_number) noexcept;

    // True where set_from_signal() was the one that set it.
    bool was_set_from_signal() const noexcept;

    std::optional<Verdict> verdict() const;

    // Sleeps until it is set; wait_until gives up at the deadline and tells whether it is set.
    void wait() const noexcept;
    bool wait_until(std::chrono::steady_clock::time_point deadline) const noexcept;

    // A descriptor that becomes readable when the latch is set, and stays so: poll it, never read it. Made by
    // the first call and owned by the latch. A latch without one costs its setter no system call.
    Result<int> wake_fd();

private:
    bool publish(std::uint64_t word) noexcept;

    static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a signal handler sets the latch");

    std::atomic<std::uint64_t> word_{0};
    mutable std::atomic<std::uint32_t> sleepers_{0};
    std::atomic<std::uint32_t> woken_{0};  // what sleepers sleep on: a futex is 32 bits wide
    std::atomic<int> wake_fd_{-1};
};

}  // namespace cancelable
