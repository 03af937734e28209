#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

#include "engine/process/error.h"

namespace cancelable::cli {

// A command that this program runs on behalf of its caller, as if the caller had: with everything inherited,
// descriptors and dispositions of signals included, and an exit status that is the command's own.
//
// From begin() on signals that are meant for the command are kept; they reach it, or the end of this program
// where it has not been started yet, once run() is called.
class WrappedCommand {
public:
    // Takes the dispositions as they are now for the command.
    WrappedCommand();

    // Blocks until it has ended, passing on signals but those from `not_from`, which reach it by themselves.
    // Its status as a shell reports it; 126 and 127 where it could not be executed, which is told on stderr.
    Result<int> run(const std::vector<std::string>& command, pid_t not_from);

private:
    [[noreturn]] void become(const std::vector<std::string>& command) const;

    sigset_t mask_before_{};
    struct sigaction sigchld_before_{};
};

}  // namespace cancelable::cli
