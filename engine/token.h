#pragma once

#include <chrono>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "engine/latch.h"
#include "engine/process/reason.h"

namespace cancelable {

// Thrown by CancelationToken::check().
class CancelationError : public std::exception {
public:
    CancelationError(CancelationReason reason, std::string message);
    CancelationReason reason() const noexcept { return reason_; }
    const std::string& message() const noexcept { return message_; }
    const char* what() const noexcept override { return what_.c_str(); }

private:
    CancelationReason reason_;
    std::string message_;
    std::string what_;
};

// A latch that any thread, or a signal handler, can set once, and that others watch.
//
// The first cancelation wins: it fixes the reason and the message for good. Copies share one latch. Every
// function is safe from every thread; only cancel_from_signal() and is_cancelled() are so from a signal
// handler.
class CancelationToken {
    struct State;
    struct Link;

public:
    CancelationToken();

    // There is no move: a token always has a latch, also one that was returned or put into a container.
    CancelationToken(const CancelationToken&) = default;
    CancelationToken& operator=(const CancelationToken&) = default;
    ~CancelationToken() = default;

    // True for the one call that cancelled the token. Before it returns, the tokens linked to this one are
    // cancelled, and then the callbacks of all of them run, on the calling thread.
    bool cancel(CancelationReason reason, std::string message = {}) noexcept;

    // As cancel(), from a signal handler: async-signal-safe. Callbacks and linked tokens do not run here but
    // in the next deliver(), which the loop that watches wake_fd() calls; threads that wait on this token
    // wake at once.
    bool cancel_from_signal(int signal_number) noexcept;

    // Does what cancel_from_signal() had to leave: linked tokens and callbacks, on the calling thread. Where
    // there is nothing to do, or another thread is already at it, it returns at once.
    void deliver() noexcept;

    // A descriptor that becomes readable when the token is cancelled, in whatever way, and stays so. Poll it,
    // never read or close it; it lives as long as the latch does. Call it before installing a handler that
    // cancels the token.
    Result<int> wake_fd() const { return latch_->wake_fd(); }

    bool is_cancelled() const noexcept { return latch_->is_set(); }

    // Of the cancelation; none, empty, none and 0 while there was none.
    std::optional<Verdict> verdict() const { return latch_->verdict(); }
    std::optional<CancelationReason> reason() const;
    std::string message() const;
    std::optional<WallTime> cancelled_at() const;
    int signal_number() const;

    // Throws CancelationError once the token is cancelled. try_check() returns the same as a value.
    void check() const;
    std::expected<void, CancelationError> try_check() const;

    // Blocks until the token is cancelled. wait_for() gives up after the timeout and tells whether it is
    // cancelled.
    void wait() const noexcept { latch_->wait(); }
    bool wait_for(std::chrono::nanoseconds timeout) const noexcept;
    bool wait_until(std::chrono::steady_clock::time_point deadline) const noexcept {
        return latch_->wait_until(deadline);
    }

    // RAII: destroying it unregisters the callback, waiting for it where another thread is running it just
    // now. Inside the callback itself it may be destroyed too, and then waits for nothing. It may outlive the
    // token.
    class Registration {
    public:
        Registration() noexcept;
        Registration(Registration&&) noexcept;
        Registration& operator=(Registration&&) noexcept;
        ~Registration();

    private:
        friend class CancelationToken;
        struct Node;
        explicit Registration(std::shared_ptr<Node> node) noexcept;
        std::shared_ptr<Node> node_;
    };

    // Called exactly once, in the order of registration; at once, on this thread, where the token is already
    // cancelled. No lock is held: it may do with this and other tokens whatever it likes. What it throws is
    // dropped, for whoever cancels could not answer for it.
    [[nodiscard]] Registration on_cancel(std::function<void()> callback) const;

    // Cancels this token when `parent` is cancelled: with the parent's own reason, or with `parent` for a
    // reason; the message is the parent's. At once, where it is so already. Neither keeps the other alive,
    // and a child that is cancelled or gone leaves nothing behind in its parent. Circles and a link to itself
    // are harmless.
    void link(const CancelationToken& parent, bool preserve_reason = false);

    // Cancels this token when a stop is requested of `stop`; it does not keep the token alive.
    void link(const std::stop_token& stop, CancelationReason reason = CancelationReason::parent);

    // A stop is requested of it when this token is cancelled: before the callbacks run.
    std::stop_token stop_token() const;

    // Same latch.
    friend bool operator==(const CancelationToken& a, const CancelationToken& b) noexcept {
        return a.latch_ == b.latch_;
    }

private:
    State& state() const noexcept;

    std::shared_ptr<CancelLatch> latch_;  // it is a State; as its base, is_cancelled() is one load
};

}  // namespace cancelable
