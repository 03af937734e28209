#include "cli/terminal/modes.h"

#include <unistd.h>

namespace cancelable::cli {

TerminalModes::TerminalModes(int fd) noexcept : fd_(fd) {
    known_ = ::tcgetattr(fd, &modes_) == 0;
}

void TerminalModes::restore() const noexcept {
    // From the background, setting them would stop this process.
    if (known_) set(modes_);
}

std::optional<termios> TerminalModes::current() const noexcept {
    termios modes{};
    if (!known_ || ::tcgetpgrp(fd_) != ::getpgrp() || ::tcgetattr(fd_, &modes) != 0) return std::nullopt;
    return modes;
}

void TerminalModes::set(const termios& modes) const noexcept {
    if (known_ && ::tcgetpgrp(fd_) == ::getpgrp()) ::tcsetattr(fd_, TCSADRAIN, &modes);
}

}  // namespace cancelable::cli
