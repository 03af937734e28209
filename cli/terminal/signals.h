#pragma once

#include <csignal>
#include <memory>
#include <span>
#include <vector>

#include "engine/process/fd.h"
#include "engine/token.h"

namespace cancelable::cli {

// Turns signals into tokens, for as long as it lives. The handlers do nothing but set a token, or a bit, and
// wake whoever polls wake_fd(); all else is the loop's.
//
// INT, TERM, HUP and QUIT cancel `polite`; once it is cancelled, a further INT or TERM cancels `hurry`. A
// SIGHUP that was ignored before stays ignored: that is what nohup is for. At most one object may live at a
// time.
class SignalTokens {
public:
    // `passed_on`: signals that are only remembered, for take_passed_on().
    static Result<std::unique_ptr<SignalTokens>> install(std::span<const int> passed_on = {});
    ~SignalTokens();
    SignalTokens(const SignalTokens&) = delete;
    SignalTokens& operator=(const SignalTokens&) = delete;

    const CancelationToken& polite() const noexcept { return polite_; }
    const CancelationToken& hurry() const noexcept { return hurry_; }

    // The signal that cancelled `polite`; 0 while none did.
    int polite_signal() const noexcept;

    // Those that came since the last call, each once.
    std::vector<int> take_passed_on();

    // Readable once something came; drain() makes it unreadable again.
    int wake_fd() const noexcept { return wake_.get(); }
    void drain() noexcept;

private:
    SignalTokens() = default;
    void handle(int signal_number, const struct sigaction& action);
    static void on_cancelling(int signal_number) noexcept;
    static void on_passed_on(int signal_number) noexcept;

    struct Before {
        int signal_number;
        struct sigaction action;
    };
    CancelationToken polite_;
    CancelationToken hurry_;
    UniqueFd wake_;
    std::vector<Before> before_;
};

}  // namespace cancelable::cli
