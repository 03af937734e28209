#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

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
// The first cancelation wins: it fixes the reason and the message for good. Copies share one latch.
class CancelationToken {
    struct State;

public:
    CancelationToken();

    // True for the one call that cancelled the token. Callbacks run on the calling thread, before it returns.
    bool cancel(CancelationReason reason, std::string message = {}) noexcept;

    // As cancel(), from a signal handler: async-signal-safe. Callbacks do not run here but in the next deliver(),
    // which the loop that watches wake_fd() calls; waiting threads wake at once.
    bool cancel_from_signal(int signal_number) noexcept;

    bool is_cancelled() const noexcept;

    // RAII: destroying it unregisters the callback, waiting for it where another thread is running it just now.
    class Registration {
    public:
        Registration() noexcept;
        Registration(Registration&&) noexcept;
        Registration& operator=(Registration&&) noexcept;
        ~Registration();

    private:
        friend class CancelationToken;
        struct Node;
        std::shared_ptr<Node> node_;
    };

    // Called exactly once: at once, on this thread, where the token is already cancelled.
    [[nodiscard]] Registration on_cancel(std::function<void()> callback) const;

private:
    std::shared_ptr<State> state_;
};

}  // namespace cancelable
