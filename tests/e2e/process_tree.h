#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/process/fd.h"

namespace cancelable::e2e {

// Every live process below this one, at this moment, read from /proc; those that have died and wait to be
// reaped are left out.
std::vector<pid_t> descendants(pid_t root);

// The file name of the program that a process runs; empty where there is no such process.
std::string program_of(pid_t pid);

std::vector<std::string> command_line(pid_t pid);

// 0 where there is no such process.
pid_t parent_of(pid_t pid);

// The letter of its state, as in /proc/<pid>/stat; '?' where there is no such process.
char state_of(pid_t pid);

// That it waits. One whose only waiting is for events has then done and said all it had to.
inline bool is_asleep(pid_t pid) {
    return state_of(pid) == 'S';
}

// Holds a group of processes by their pidfds, so that it can be said of these very processes, and not of
// whoever may have their pids by now, whether they are dead.
class Witness {
public:
    explicit Witness(const std::vector<pid_t>& processes);

    std::size_t size() const { return held_.size(); }

    // Asks the kernel now, without waiting.
    std::vector<pid_t> alive() const;
    bool all_gone() const { return alive().empty(); }

    // Waits until all are dead; throws Impatient.
    void wait_until_gone() const;

    // To processes that are held, never to a reused pid.
    void signal(int number) const;

private:
    struct Held {
        pid_t pid;
        UniqueFd pidfd;
    };
    std::vector<Held> held_;
};

// A pidfd; throws where there is no such process.
UniqueFd open_pidfd(pid_t pid);

}  // namespace cancelable::e2e
