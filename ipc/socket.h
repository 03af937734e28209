#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable::ipc {

// What the kernel takes as a socket's path, without the final zero byte.
inline constexpr std::size_t kMaxSocketPath = 107;

// More descriptors than this are taken from no message.
inline constexpr std::size_t kMaxDescriptors = 16;

// A socket that listens at `path`, non-blocking. Whatever was there before is replaced in one step, so that a
// client finds either the old one or this one: call it with the lock of the runtime directory held.
// ErrorCode::limit where the path is too long.
Result<UniqueFd> listen_at(const std::string& path);

// A blocking connection to whom listens at `path`. ErrorCode::unreachable with errno kept where nobody does.
Result<UniqueFd> connect_to(const std::string& path);

// The next connection, non-blocking. Nothing is waiting: EAGAIN in os_errno.
Result<UniqueFd> accept_from(int listener);

struct PeerCredentials {
    uid_t uid = 0;
    pid_t pid = 0;
};

// As they were when the connection was made.
Result<PeerCredentials> peer_credentials(int fd);

// The process at the other end, pinned by a pidfd; `pid` 0 where it has no number here (another pid
// namespace). Fails where it is dead and reaped.
//
// Without SO_PEERPIDFD (before Linux 6.5) the number is pinned now and was given at connect. It is still the
// peer's where the connection has not been hung up; but one that was handed to another process before its
// maker died proves nothing there.
struct PeerProcess {
    pid_t pid = 0;
    UniqueFd pidfd;
};
Result<PeerProcess> peer_process(int fd);

// Sends what the kernel takes at once, at least one byte, without blocking; `descriptors` go with the first
// byte. 0: the socket is full, nothing was sent.
Result<std::size_t> send_some(int fd, std::string_view bytes, std::span<const int> descriptors);

struct Received {
    std::size_t bytes = 0;
    bool would_block = false;  // nothing is there; with neither this nor bytes the other side has ended
};

// Reads what is there, without blocking, and adds the descriptors that came with it to `descriptors`. Where
// some were lost on the way (no free slot here, or more than kMaxDescriptors at once) it fails, and all that
// came are closed.
Result<Received> receive_some(int fd, std::span<char> buffer, std::vector<UniqueFd>& descriptors);

}  // namespace cancelable::ipc
