#include "engine/shim/shim_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/process/proc.h"
#include "engine/shim/frugal_wait.h"
#include "engine/shim/shim.h"

namespace cancelable {
namespace {

// A tree may be wide, and each of its processes is held by a descriptor while it is ended.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// They were passed on, so they came without the flag.
Assignment first_assignment() {
    ::syscall(SYS_close_range, ShimDescriptors::kChannel, ShimDescriptors::kLast, CLOSE_RANGE_CLOEXEC);
    Assignment assignment;
    for (int number = ShimDescriptors::kFirst; number <= ShimDescriptors::kLast; ++number)
        if (::fcntl(number, F_GETFD) >= 0) assignment[number].reset(number);
    return assignment;
}

// What was sent to the shim of an operation was meant for that operation, and an idle one has none to end: it
// ends with its channel.
void drop_signals(int signals) {
    signalfd_siginfo info{};
    while (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    }
}

}  // namespace

Result<> ShimSelf::set_up() {
    channel.reset(ShimDescriptors::kChannel);
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return system_error("cannot become a subreaper");
    raise_descriptor_limit();
    pid = ::getpid();
    if (const auto stat = read_stat(pid)) start_time = stat->start_time;
    // Else our working directory would keep a file system from being unmounted.
    if (::chdir("/") != 0) return system_error("cannot change to the root directory");

    // Everything is blocked, so that what the command sends to its parent is at most a request.
    sigset_t blocked;
    ::sigfillset(&blocked);
    errno = ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    if (errno != 0) return system_error("cannot block signals");
    sigset_t handled;
    ::sigemptyset(&handled);
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT})
        ::sigaddset(&handled, number);
    signals.reset(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return system_error("cannot watch signals");
    inheritance = Inheritance::of_this_process();
    return {};
}

int ShimProcess::run() {
    // Taken before anything else is opened, which would get the number of what was not given.
    std::optional<Assignment> assignment = first_assignment();
    // Without these there is no operation to report on. The supervisor sees the channel close.
    constexpr int kFailed = 125;
    if (!self_.set_up()) return kFailed;
    while (assignment) {
        drop_signals(self_.signals.get());
        bool stays = false;
        {
            Shim shim(self_, std::move(*assignment));
            if (!shim.start()) return kFailed;
            shim.serve();
            stays = shim.stays();
            assignment = shim.take_next();
        }
        if (!stays || !self_.channel) return 0;
        if (!assignment) assignment = await_assignment();
    }
    return 0;
}

std::optional<Assignment> ShimProcess::await_assignment() {
    self_.title.set("idle", "");
    FrugalWait wait;
    for (;;) {
        pollfd watched[] = {{self_.channel.get(), POLLIN, 0}, {self_.signals.get(), POLLIN, 0}};
        const int ready = wait.wait(watched, std::nullopt);
        if (ready < 0 && errno != EINTR) return std::nullopt;
        if (ready <= 0) continue;
        if (watched[1].revents != 0) drop_signals(self_.signals.get());
        if (watched[0].revents == 0) continue;
        auto packet = receive_packet(self_.channel.get());
        if (!packet && packet.error().os_errno == EAGAIN) continue;
        if (!packet || packet->bytes.empty()) return std::nullopt;
        auto command = decode_command(packet->bytes);
        // Others are for the operation before, and come too late.
        if (command && command->kind == ShimCommandKind::assign)
            return take_assignment(std::move(*command), std::move(*packet));
    }
}

}  // namespace cancelable
