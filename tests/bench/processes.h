#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace cancelable::bench {

using Words = std::vector<std::string>;

// How a program is started. Descriptors stay the caller's.
struct Setup {
    const Words* environment = nullptr;  // the caller's where there is none
    int out = -1;                        // stdout; /dev/null where negative
    bool own_group = false;              // a process group of its own, which it leads
    bool quiet = false;                  // stderr is /dev/null too
};

// By posix_spawnp: the least that starting a program can cost. Throws std::runtime_error.
pid_t spawn(const Words& words, const Setup& setup = {});

// Waits for a child. Throws where it did not exit with 0; `signal` is the one that it is meant to end by.
void reap(pid_t pid, int signal = 0);

// Both, and what it wrote, without the last line's end.
std::string output_of(const Words& words, Setup setup = {});

// From /proc. They throw where the process is gone.
pid_t parent_of(pid_t pid);
long pss_kib(pid_t pid);        // proportional set size: shared pages count by their share
long anonymous_kib(pid_t pid);  // what it has written for itself: no page of any file, whoever else has that
std::uint64_t wake_ups(pid_t pid);   // voluntary context switches of all threads, since its start
std::size_t descriptors(pid_t pid);  // open ones

// Until the process has executed that program. A process that has only just been forked dies differently.
void settle(pid_t pid, const std::string& program);

bool exists(pid_t pid);

}  // namespace cancelable::bench
