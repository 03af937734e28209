#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>

#include "engine/process/fd.h"

namespace cancelable {

// What is asked of the kernel by pidfd: it means one process, and after that nobody.

// Nothing, with errno set, where there is no such process. Whose number it is now, the caller has to prove.
UniqueFd open_pidfd(pid_t pid) noexcept;

// Of the process at the other end of a socket: the one that connected, or the one that listened. Nothing,
// with errno set, before Linux 6.5 (ENOPROTOOPT), or where that process was reaped.
UniqueFd peer_pidfd(int socket) noexcept;

// The number of its parent, without /proc: from Linux 6.13 on. Nothing where the kernel does not tell, one of
// them has no number here (another pid namespace), or it was reaped.
std::optional<pid_t> pidfd_parent(int pidfd) noexcept;

// As the system call.
int pidfd_send_signal(int pidfd, int number) noexcept;

// Whether the process is dead and its number free.
bool is_reaped(int pidfd) noexcept;

// Reaps a child if it is dead. True: it is gone, by this call or before.
bool reap(int pidfd) noexcept;

// Waits for that, until the deadline at the latest.
bool reap_by(int pidfd, std::chrono::steady_clock::time_point deadline) noexcept;

}  // namespace cancelable
