#include "cli/terminal/modes.h"

#include <unistd.h>

namespace cancelable::cli {

TerminalModes::TerminalModes(int fd) noexcept : fd_(fd) {
    known_ = ::tcgetattr(fd, &modes_) == 0;
}

void TerminalModes::restore() const noexcept {
    // From the background, setting them would stop this process.
    if (known_ && ::tcgetpgrp(fd_) == ::getpgrp()) ::tcsetattr(fd_, TCSADRAIN, &modes_);
}

}  // namespace cancelable::cli
