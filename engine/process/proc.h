#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace cancelable {

// What /proc/<pid>/stat says of a process and the walk of a tree needs.
struct ProcStat {
    pid_t parent = 0;
    char state = '?';
    unsigned threads = 0;          // 0 once nothing of it runs any more
    std::uint64_t start_time = 0;  // clock ticks since boot: with the pid, a name that is never used twice
    std::uint64_t handled = 0;     // bit N - 1: caught, or blocked by the first thread; signals 1 to 31

    // Dead and waiting to be reaped. A leader that exited before its other threads is no corpse.
    bool is_corpse() const noexcept { return (state == 'Z' || state == 'X') && threads <= 1; }

    // True where the process may do something of its own when it gets the signal. Others end, stop, or go on
    // as if it had not come.
    bool may_answer(int number) const noexcept { return number > 31 || (handled >> (number - 1) & 1) != 0; }
};

std::optional<ProcStat> read_stat(pid_t pid);

// Every process that there is at this moment, as far as this user is shown them.
std::vector<pid_t> all_processes();

// What the threads of a process do: all are stopped, by a signal or a tracer; none may run, but some are
// asleep where nothing but what they wait for can wake them; or one may run.
enum class Activity : std::uint8_t { stopped, asleep, running };
Activity activity_of(pid_t pid, const ProcStat& stat);

// True where the process has the signal ignored; false as well where it cannot be told.
bool ignores_signal(pid_t pid, int number);

// Appends the children of `pid`, of whichever of its threads. What it reads may be a moment old and, while
// children come and go, incomplete: callers repeat until a pass brings nothing new.
void append_children(pid_t pid, unsigned threads, std::vector<pid_t>& children);

}  // namespace cancelable
