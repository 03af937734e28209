#pragma once

#include <sys/types.h>

#include <cstddef>
#include <istream>
#include <string>

namespace cancelable::bench {

// Counts what strace has written for one thread.
//
// Counted are calls that do something. What only waits is not, nor what found nothing there (EAGAIN) or was
// interrupted: how often a loop is woken depends on how busy the machine is. Nor are clocks, which are system
// calls on some machines only. `until`: stops before a call that contains it, if there is one.
std::size_t count_calls(std::istream& log, const std::string& until = {});

// Where the calls of a supervisor and of what it has started were made.
struct Calls {
    std::size_t loop = 0;     // the supervisor's first thread
    std::size_t workers = 0;  // its other threads
    std::size_t shims = 0;    // everything else but what commands did after their exec
};

// Counts what strace -ff -o PREFIX has written so far. `command` is the path with which commands are
// executed.
Calls count_calls_of_supervisor(const std::string& prefix, pid_t supervisor, const std::string& command);

}  // namespace cancelable::bench
