#pragma once

#include <csignal>

namespace cancelable::cli {

// Job control of this process: Ctrl-Z is caught, so that something can be done before the process stops.
//
// Handlers remember what came, and write to `wake_fd`, an event descriptor that somebody polls. Where SIGTSTP
// was ignored, it stays so. At most one object may live at a time.
class Suspension {
public:
    explicit Suspension(int wake_fd) noexcept;
    ~Suspension();
    Suspension(const Suspension&) = delete;
    Suspension& operator=(const Suspension&) = delete;

    // True where a SIGTSTP has come that stop() has not answered, and no SIGCONT since.
    bool is_asked() const noexcept;

    // How many SIGTSTP have come so far.
    int count() const noexcept;

    // Stops this process as an uncaught SIGTSTP would have, and returns once it goes on: at once where a
    // SIGCONT has come since, or where there is nobody to continue it (an orphaned process group).
    void stop() noexcept;

private:
    struct sigaction before_stop_{};
    struct sigaction before_continue_{};
    bool is_handled_ = false;
};

}  // namespace cancelable::cli
