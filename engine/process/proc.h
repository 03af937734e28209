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

    // Dead and waiting to be reaped. A leader that exited before its other threads is no corpse.
    bool is_corpse() const noexcept { return (state == 'Z' || state == 'X') && threads <= 1; }
};

std::optional<ProcStat> read_stat(pid_t pid);

// Every process that there is at this moment, as far as this user is shown them.
std::vector<pid_t> all_processes();
// True where every thread of the process is stopped, by a signal or a tracer. `or_stopping`: one that is
// asleep where nothing but what it waits for can wake it counts as well.
bool is_stopped(pid_t pid, const ProcStat& stat, bool or_stopping = false);

// True where the process has the signal ignored; false as well where it cannot be told.
bool ignores_signal(pid_t pid, int number);

// Appends the children of `pid`, of whichever of its threads. What it reads may be a moment old and, while
// children come and go, incomplete: callers repeat until a pass brings nothing new.
void append_children(pid_t pid, unsigned threads, std::vector<pid_t>& children);

}  // namespace cancelable
