// The child runs in the parent's memory while the parent's thread stands still. So it calls the kernel
// directly: libc's wrappers keep notes (of signal handlers, under sanitizers of much more) that would be the
// parent's notes.
#include "engine/process/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdint>
#include <string>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#define CANCELABLE_CHILD_CODE __attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#else
#define CANCELABLE_CHILD_CODE __attribute__((noinline))
#endif

namespace cancelable {
namespace {

constexpr int kFirstFree =
    kMostTargets;  // sources are moved above every target before any target is overwritten
constexpr std::size_t kKernelSigset = 8;

enum class Step : int { descriptors, session, directory, exec };

struct ChildArguments {
    const SpawnRequest* request;
    Step failed_at;
    int os_errno;
};

CANCELABLE_CHILD_CODE bool arrange_descriptors(const SpawnRequest& request) {
    int sources[kFirstFree];
    std::size_t count = 0;
    for (const DescriptorMove& move : request.descriptors) {
        int source = move.source;
        if (source >= 0 && source < kFirstFree)
            source = static_cast<int>(::syscall(SYS_fcntl, source, F_DUPFD_CLOEXEC, kFirstFree));
        if (move.source >= 0 && source < 0) return false;
        sources[count++] = source;
    }
    int next = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const int target = request.descriptors[i].target;
        for (; next < target; ++next)
            ::syscall(SYS_close, next);
        if (sources[i] < 0)
            ::syscall(SYS_close, target);
        else if (::syscall(SYS_dup3, sources[i], target, 0) < 0)
            return false;
        next = target + 1;
    }
    // What else is open was opened close-on-exec by us, or inherited from whoever started us: this covers the
    // latter.
    ::syscall(SYS_close_range, next, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    return true;
}

CANCELABLE_CHILD_CODE void reset_signals(bool dispositions) {
    const std::uint64_t nothing[8] = {};  // The kernel's sigaction and sigset: SIG_DFL, no flags, empty mask.
    for (int number = 1; dispositions && number <= 64; ++number)
        ::syscall(SYS_rt_sigaction, number, nothing, nullptr, kKernelSigset);
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, nothing, nullptr, kKernelSigset);
}

// Tries the candidates as execvp does: one that is missing is passed over, one that may not be executed is
// remembered but passed over too, anything else ends the search.
CANCELABLE_CHILD_CODE int try_exec(const SpawnRequest& request) {
    int worst = ENOENT;
    for (const char* path : request.paths) {
        ::syscall(SYS_execve, path, request.argv, request.environment);
        const int failed = errno;
        if (failed == EACCES) {
            worst = EACCES;
        } else if (failed != ENOENT && failed != ENOTDIR && failed != ESTALE && failed != ENODEV &&
                   failed != ETIMEDOUT) {
            return failed;
        }
    }
    return worst;
}

CANCELABLE_CHILD_CODE int child_main(void* opaque) {
    auto& arguments = *static_cast<ChildArguments*>(opaque);
    const SpawnRequest& request = *arguments.request;
    const auto fail = [&](Step step, int os_errno) {
        arguments.failed_at = step;
        arguments.os_errno = os_errno;
        ::syscall(SYS_exit_group, 127);
        return 127;
    };

    if (!arrange_descriptors(request)) return fail(Step::descriptors, errno);
    if (request.new_session && ::syscall(SYS_setsid) < 0) return fail(Step::session, errno);
    if (request.directory >= 0 && ::syscall(SYS_fchdir, request.directory) < 0)
        return fail(Step::directory, errno);
    if (request.umask) ::syscall(SYS_umask, *request.umask);
    // Limits and niceness that need a privilege stay as they are: the command is then no worse off than under
    // us.
    for (const ResourceLimit& limit : request.limits) {
        struct rlimit wanted{limit.soft, limit.hard};
        if (::syscall(SYS_prlimit64, 0, limit.resource, &wanted, nullptr) == 0) continue;
        struct rlimit ours{};
        if (::syscall(SYS_prlimit64, 0, limit.resource, nullptr, &ours) != 0) continue;
        wanted = {limit.soft < ours.rlim_max ? limit.soft : ours.rlim_max, ours.rlim_max};
        ::syscall(SYS_prlimit64, 0, limit.resource, &wanted, nullptr);
    }
    if (request.nice) ::syscall(SYS_setpriority, PRIO_PROCESS, 0, *request.nice);
    // Handlers go before the mask: a signal that was waiting must not run the parent's handler in here.
    reset_signals(!request.ignores_nothing);
    return fail(Step::exec, try_exec(request));
}

SpawnFailure describe(const SpawnRequest& request, const ChildArguments& arguments) {
    const std::string command = request.argv[0] == nullptr ? "" : request.argv[0];
    switch (arguments.failed_at) {
        case Step::descriptors:
            return {false, {ErrorCode::system, "cannot pass descriptors on", arguments.os_errno}};
        case Step::session:
            return {false, {ErrorCode::system, "cannot start a session", arguments.os_errno}};
        case Step::directory:
            return {false, {ErrorCode::system, "cannot change to the working directory", arguments.os_errno}};
        case Step::exec:
            break;
    }
    return {true, {ErrorCode::system, "cannot execute \"" + command + "\"", arguments.os_errno}};
}

}  // namespace

std::expected<Child, SpawnFailure> spawn(const SpawnRequest& request) {
    alignas(16) unsigned char stack[16 * 1024];
    ChildArguments arguments{&request, Step::exec, 0};

    sigset_t everything;
    sigset_t before;
    ::sigfillset(&everything);
    ::pthread_sigmask(SIG_SETMASK, &everything, &before);
    int pidfd = -1;
    const int flags = CLONE_VM | CLONE_VFORK | (request.wants_pidfd ? CLONE_PIDFD : 0) | SIGCHLD;
    const pid_t pid = ::clone(child_main, stack + sizeof stack, flags, &arguments, &pidfd);
    const int clone_errno = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);

    if (pid < 0)
        return std::unexpected(
            SpawnFailure{false, {ErrorCode::system, "cannot start a process", clone_errno}});
    Child child{pid, UniqueFd(pidfd)};
    if (arguments.os_errno != 0) {
        siginfo_t ignored;
        retry_eintr([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED); });
        return std::unexpected(describe(request, arguments));
    }
    return child;
}

}  // namespace cancelable
