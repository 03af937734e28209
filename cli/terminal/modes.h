#pragma once

#include <termios.h>

#include <optional>

namespace cancelable::cli {

// The modes of a terminal as they were when this was made, so that a command that was ended in the middle of
// its work leaves no terminal that shows nothing of what is typed.
class TerminalModes {
public:
    explicit TerminalModes(int fd) noexcept;

    // Does nothing where there was no terminal, or where another job has it now.
    void restore() const noexcept;

    // Those that it has now, and the way back to them: for a program that stops for a while. Nothing where it
    // is no terminal, or another job has it.
    std::optional<termios> current() const noexcept;
    void set(const termios& modes) const noexcept;

private:
    int fd_;
    bool known_ = false;
    termios modes_{};
};

}  // namespace cancelable::cli
