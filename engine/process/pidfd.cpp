#include "engine/process/pidfd.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace cancelable {
namespace {

#ifdef SO_PEERPIDFD
constexpr int kPeerPidfd = SO_PEERPIDFD;
#else
constexpr int kPeerPidfd = 77;  // the headers may be older than the kernel
#endif

// struct pidfd_info in its first form, and PIDFD_GET_INFO with it, likewise.
struct PidfdInfo {
    std::uint64_t mask;
    std::uint64_t cgroup_id;
    std::uint32_t pid;
    std::uint32_t tgid;
    std::uint32_t parent;
    std::uint32_t credentials[8];
    std::uint32_t spare;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kPidfdInfoPid = 1;
constexpr unsigned long kGetInfo = _IOWR(0xff, 11, PidfdInfo);

}  // namespace

UniqueFd open_pidfd(pid_t pid) noexcept {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

UniqueFd peer_pidfd(int socket) noexcept {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    return UniqueFd(::getsockopt(socket, SOL_SOCKET, kPeerPidfd, &pidfd, &size) == 0 ? pidfd : -1);
}

std::optional<pid_t> pidfd_parent(int pidfd) noexcept {
    PidfdInfo info{};
    info.mask = kPidfdInfoPid;
    if (::ioctl(pidfd, kGetInfo, &info) != 0 || (info.mask & kPidfdInfoPid) == 0 || info.parent == 0)
        return std::nullopt;
    return static_cast<pid_t>(info.parent);
}

int pidfd_send_signal(int pidfd, int number) noexcept {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

bool is_reaped(int pidfd) noexcept {
    return pidfd_send_signal(pidfd, 0) != 0 && errno == ESRCH;
}

bool reap(int pidfd) noexcept {
    siginfo_t info{};
    const int result =
        retry_eintr([&] { return ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG); });
    return result != 0 || info.si_pid != 0;
}

bool reap_by(int pidfd, std::chrono::steady_clock::time_point deadline) noexcept {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd watched{pidfd, POLLIN, 0};
    return ::poll(&watched, 1, static_cast<int>(std::max<long>(left, 0))) > 0 && reap(pidfd);
}

}  // namespace cancelable
