// How it works: one thread, no handlers. Every signal is blocked and read from a signalfd, and ppoll() waits
// for that, for the channel, for the lifeline, and for the next timer. After each wake-up the state is
// brought forward once.
#include "engine/shim/shim.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "engine/process/search_path.h"
#include "engine/process/signal_names.h"
#include "engine/process/spawn.h"
#include "engine/shim/acceptance.h"

namespace cancelable {
namespace {

std::chrono::microseconds as_duration(const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

std::vector<const char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<const char*> pointers;
    pointers.reserve(words.size() + 1);
    for (const std::string& word : words)
        pointers.push_back(word.c_str());
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace

Shim::Shim(ShimSelf& self, Assignment assignment)
    : self_(self),
      description_(std::move(assignment.description)),
      spec_memory_(std::move(assignment[ShimDescriptors::kSpec])),
      listener_(std::move(assignment[ShimDescriptors::kListener])),
      directory_(std::move(assignment[ShimDescriptors::kDirectory])),
      cwd_(std::move(assignment[ShimDescriptors::kCwd])),
      lifeline_(std::move(assignment[ShimDescriptors::kLifeline])),
      stdio_{std::move(assignment[ShimDescriptors::kStdin]), std::move(assignment[ShimDescriptors::kStdout]),
             std::move(assignment[ShimDescriptors::kStderr])},
      slot_(std::move(assignment[ShimDescriptors::kSlots]), std::move(assignment[ShimDescriptors::kTurn]),
            std::move(assignment[ShimDescriptors::kNextTurn])) {
    // The supervisor has said so before, and the kernel names to whoever connects the process that said it
    // last: so a later supervisor knows the process behind a channel, also of a shim that does not answer.
    if (listener_) {
        static_cast<void>(::listen(listener_.get(), 4));
        self_.listener.reset();
    } else if (directory_) {
        listener_ = std::move(self_.listener);
    }
}

Result<> Shim::start() {
    auto decoded = spec_memory_ ? read_description(spec_memory_.get()) : decode_spec(description_);
    if (!decoded) return std::unexpected(decoded.error());
    spec_ = std::move(decoded->spec);
    report_.id = spec_.id;
    report_.shim_pid = self_.pid;
    report_.shim_start_time = self_.start_time;
    self_.title.set(listener_ ? std::to_string(spec_.id) : "-", spec_.name);
    if (const auto set = set_deadline(); !set) return set;
    if (slot_.is_needed()) {
        waiting_ = std::move(decoded->launch);
    } else {
        slot_.let_others_pass();
        start_command(decoded->launch);
    }
    return {};
}

bool Shim::wants_slot() const noexcept {
    return waiting_ && pausing_.state() == PauseTree::State::running;
}

void Shim::take_slot() {
    if (!wants_slot() || !slot_.take()) return;
    const LaunchSettings launch = std::move(*waiting_);
    waiting_.reset();
    wait_ = {};  // What the start needs is given back once more.
    start_command(launch);
}

void Shim::start_command(const LaunchSettings& launch) {
    const auto argv = pointers_to(spec_.command);
    const auto environment = pointers_to(launch.environment);
    const std::vector<std::string> candidates = search_path(spec_.command.front(), launch.environment);
    const auto paths = pointers_to(candidates);

    int cwd_errno = 0;
    if (!cwd_) {
        cwd_.reset(::open(spec_.cwd.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        cwd_errno = cwd_ ? 0 : errno;
    }
    std::array<DescriptorMove, 3> stdio;
    for (int fd = 0; fd < 3; ++fd) {
        const bool closed = (launch.closed_stdio >> fd & 1U) != 0;
        const UniqueFd& given = stdio_[static_cast<std::size_t>(fd)];
        // Our own are /dev/null.
        stdio[static_cast<std::size_t>(fd)] = {fd, closed ? -1 : given ? given.get() : fd};
    }
    const auto limits = self_.inheritance.limits_to_set(launch.limits);
    const SpawnRequest request{.paths = std::span(paths).first(candidates.size()),
                               .argv = argv.data(),
                               .environment = environment.data(),
                               .descriptors = stdio,
                               .directory = cwd_.get(),
                               .new_session = true,
                               .ignores_nothing = true,  // as spawn() has started us
                               .umask = launch.umask,
                               .nice = launch.nice,
                               .limits = limits,
                               .wants_pidfd = false};  // Not reaped by anybody else, its number will do.
    // From here on nobody may start it a second time.
    note_beginning(directory_.get(), spec_.id);
    report_.started_at = wall_now();
    started_ = Clock::now();
    const auto child = cwd_
                           ? spawn(request)
                           : std::unexpected(SpawnFailure{
                                 false, {ErrorCode::system, "cannot open \"" + spec_.cwd + "\"", cwd_errno}});
    // The command has its copies by now: ours would keep the other end of its pipes from seeing the end.
    for (UniqueFd& fd : stdio_)
        fd.reset();
    cwd_.reset();

    if (child) {
        command_ = child->pid;
        report_.pid = child->pid;
        report_.started = true;
        if (spec_.timeout.count() > 0) timeout_at_ = started_ + spec_.timeout;
        send_report(false);
    } else {
        report_.failed_at_exec = child.error().at_exec;
        report_.failed_errno = child.error().error.os_errno;
        report_.failed_doing = child.error().error.doing;
    }
}

void Shim::serve() {
    reap();
    note_progress();
    while (!is_finished()) {
        wait_for_events();
        reap();
        check_timers();
        note_progress();
    }
}

// Having left orphans alone it stays, as their reaper: passed on to our own parent they would be taken for
// what remains of a shim that was killed.
bool Shim::is_finished() const noexcept {
    return released_ && no_children_;
}

void Shim::wait_for_events() {
    enum : std::size_t { kSignals, kChannel, kListener, kLifeline, kDeadline, kShields, kSlot, kCount };
    std::array<pollfd, kCount> watched{};
    watched[kSignals] = {self_.signals.get(), POLLIN, 0};
    watched[kChannel] = {channel_.get(), static_cast<short>(report_is_due_ ? POLLIN | POLLOUT : POLLIN), 0};
    watched[kListener] = {listener_.get(), POLLIN, 0};
    watched[kLifeline] = {lifeline_.get(), 0, 0};  // A hang-up is reported without being asked for.
    watched[kDeadline] = {deadline_.get(), POLLIN, 0};
    watched[kShields] = {shields_.fd(), POLLIN, 0};
    watched[kSlot] = wants_slot() ? slot_.awaited() : pollfd{-1, 0, 0};

    std::optional<Clock::time_point> due = no_children_ ? std::nullopt : canceller_.due();
    if (timeout_at_ && (!due || *timeout_at_ < *due)) due = timeout_at_;
    if (const auto held = shields_.until(); held && (!due || *held < *due)) due = held;
    if (const auto look = pausing_.due(); look && (!due || *look < *due)) due = look;
    const int ready = wait_.wait(watched, due);
    if (ready <= 0) return;

    const bool had_channel = static_cast<bool>(channel_);
    if (watched[kSignals].revents != 0) handle_signals();
    if ((watched[kChannel].revents & POLLOUT) != 0) send_report(false);
    if ((watched[kChannel].revents & ~POLLOUT) != 0) read_channel();
    // What comes on the channel now is the next operation, and no other may take its place.
    if (released_) return;
    // An end is written down first: who connects now may be looking for the next operation.
    if (had_channel && !channel_) return;
    if (watched[kListener].revents != 0) accept_supervisor();
    if (watched[kShields].revents != 0 && shields_.drop_closed()) report_is_due_ = true;
    if (watched[kLifeline].revents != 0) lifeline_lost();
    if (watched[kDeadline].revents != 0) {
        deadline_.reset();
        cancel({.reason = CancelationReason::timeout,
                .message = "its deadline has come",
                .uid = ::getuid(),
                .signal = spec_.signal},
               {{spec_.signal, spec_.grace}});
    }
    if (watched[kSlot].revents != 0) take_slot();
}

// The kernel's timer follows when the wall clock is set, and comes after a sleep of the machine.
Result<> Shim::set_deadline() {
    if (spec_.deadline == WallTime{}) return {};
    deadline_.reset(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    const auto since_epoch = std::max(spec_.deadline.time_since_epoch(), WallTime::duration(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
    itimerspec when{};
    when.it_value = {seconds.count(), std::chrono::nanoseconds(since_epoch - seconds).count()};
    if (!deadline_ || ::timerfd_settime(deadline_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0)
        return system_error("cannot set the deadline");
    return {};
}

void Shim::lifeline_lost() {
    lifeline_.reset();
    if (spec_.disconnect_is_member) {
        report_.disconnected = true;
        report_is_due_ = true;
        return;
    }
    cancel({.reason = CancelationReason::disconnect,
            .message = "the client that started it is gone",
            .uid = ::getuid(),
            .signal = spec_.signal},
           {{spec_.signal, spec_.grace}});
}

void Shim::handle_signals() {
    std::array<signalfd_siginfo, 4> came;
    const ssize_t size = ::read(self_.signals.get(), came.data(), sizeof came);
    // Those that are left are read in the next turn.
    const auto count = static_cast<std::size_t>(std::max<ssize_t>(size, 0)) / sizeof came.front();
    for (const signalfd_siginfo& info : std::span(came).first(count)) {
        if (info.ssi_signo == SIGCHLD) continue;  // reap() looks anyway
        const int number = static_cast<int>(info.ssi_signo);
        cancel({.reason = CancelationReason::signal,
                .message = "its shim got " + signal_name(number),
                .uid = static_cast<uid_t>(info.ssi_uid),
                .pid = static_cast<pid_t>(info.ssi_pid),
                .signal = spec_.signal},
               {{spec_.signal, spec_.grace}});
    }
}

void Shim::reap() {
    while (!no_children_ && !waiting_) {
        int status = 0;
        rusage usage{};
        const pid_t pid = retry_eintr([&] { return ::wait4(-1, &status, WNOHANG, &usage); });
        if (pid == 0) return;
        if (pid < 0) {
            no_children_ = errno == ECHILD;
            return;
        }
        if (canceller_.has_begun()) canceller_.saw_death(Clock::now());
        add_usage(usage);
        // The status is kept before any signal is sent: from here on the pid may belong to a stranger.
        if (pid == command_) {
            command_ = -1;
            report_.has_exited = true;
            report_.wait_status = status;
            report_is_due_ = true;  // Its children, which have shims of their own, are to hear of it now.
        }
    }
}

// Each child's, which holds what that has reaped itself: the process's own sum would be that of every
// operation that it has guarded.
void Shim::add_usage(const rusage& usage) noexcept {
    report_.user_time += as_duration(usage.ru_utime);
    report_.system_time += as_duration(usage.ru_stime);
    report_.max_rss_bytes =
        std::max(report_.max_rss_bytes, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
}

void Shim::check_timers() {
    const auto now = Clock::now();
    if (timeout_at_ && now >= *timeout_at_) {
        timeout_at_.reset();
        cancel({.reason = CancelationReason::timeout,
                .message = "it ran longer than its timeout",
                .uid = ::getuid(),
                .signal = spec_.signal},
               {{spec_.signal, spec_.grace}});
    }
    for (const StopPlan& plan : shields_.take_due(now)) {
        pausing_.abandon();
        canceller_.begin(plan, now);
        report_is_due_ = true;
    }
    pausing_.advance(now);
    if (!no_children_) canceller_.advance(now);
}

void Shim::cancel(const ReportedCancelation& cancelation, const StopPlan& plan) {
    if (report_.over) return;
    if (!report_.cancelation) {
        report_.cancelation = cancelation;
        report_.cancelation->requested_at = wall_now();
        timeout_at_.reset();
        deadline_.reset();
        timeout_left_.reset();
        report_is_due_ = true;
    }
    if (waiting_)
        waiting_.reset();  // It never begins.
    else
        end_tree(plan);
}

// Now, or once the shields are over. What is accepted while it is held is accepted all the same.
//
// A paused tree goes on first: who has raised a shield needs to, so that the shield comes to its end.
void Shim::end_tree(const StopPlan& plan) {
    const auto now = Clock::now();
    if (!canceller_.has_begun() && shields_.hold(plan, now)) {
        pausing_.resume();
        report_is_due_ = true;
        return;
    }
    shields_.break_all();
    pausing_.abandon();  // Whoever ends a tree continues what is stopped in it.
    canceller_.begin(plan, now);
}

void Shim::note_progress() {
    if (!report_.over) {
        if (no_children_) {
            declare_over();
        } else if (report_.has_exited && !canceller_.has_begun() && !shields_.is_holding()) {
            if (spec_.orphans == Orphans::kill) end_tree({{spec_.signal, spec_.grace}});
            if (spec_.orphans == Orphans::leave) declare_over();
        }
    }
    if (canceller_.has_begun() && !report_.over && canceller_.survivors() != report_.survivors) {
        report_.survivors = canceller_.survivors();
        report_is_due_ = true;
        slot_.give_back();  // Who may not be ended is waited for by nobody.
    }
    // Whoever follows hears of a signal when it is sent, and not only at the end.
    if (canceller_.signals().size() != report_.signals.size()) report_is_due_ = true;
    note_pause();
    if (report_is_due_ && !released_) send_report(false);
    if (report_.over && !released_ && !channel_) supervisor_lost();
}

void Shim::pause(const ShimCommand& command) {
    pause_asked_ = command.number;
    if (command.kind == ShimCommandKind::resume)
        pausing_.resume();
    else if (!report_.over && !report_.cancelation && !canceller_.has_begun()) {
        pausing_.pause(Clock::now());
        if (waiting_) slot_.let_others_pass();
    }
}

void Shim::signal(int number, bool tree) {
    if (report_.over) return;
    // It would undo the pause one process at a time.
    if (number == SIGCONT && pausing_.state() != PauseTree::State::running) return pausing_.resume();
    if (!tree) {
        // Not reaped yet, so the number is still the command's.
        if (command_ > 0) ::kill(command_, number);
        return;
    }
    ProcessTree processes;
    processes.grow();
    std::vector<pid_t> refused;
    processes.signal(number, refused);
}

// Brings the report and the timeout in line with the state of the pause.
void Shim::note_pause() {
    const auto state = pausing_.state();
    if (state != PauseTree::State::running && timeout_at_ && spec_.pause_timeouts) {
        timeout_left_ = *timeout_at_ - Clock::now();
        timeout_at_.reset();
    }
    if (state == PauseTree::State::running && timeout_left_) {
        timeout_at_ = Clock::now() + *timeout_left_;
        timeout_left_.reset();
    }
    const bool is_paused = state == PauseTree::State::paused;
    const std::uint64_t answered = state == PauseTree::State::pausing ? report_.pause_answered : pause_asked_;
    const std::vector<pid_t> unstoppable = is_paused ? pausing_.unstoppable() : std::vector<pid_t>{};
    if (is_paused == report_.paused && answered == report_.pause_answered &&
        unstoppable == report_.unstoppable)
        return;
    report_.paused = is_paused;
    report_.pause_answered = answered;
    report_.unstoppable = unstoppable;
    report_is_due_ = true;
}

void Shim::declare_over() {
    slot_.give_back();  // first of all: somebody waits for it
    pausing_.abandon();
    timeout_left_.reset();
    report_.over = true;
    report_.over_at = wall_now();
    if (started_ != Clock::time_point{})
        report_.duration = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_);
    report_.survivors.clear();
    timeout_at_.reset();
    deadline_.reset();
    lifeline_.reset();
    report_.can_stay = can_stay();
    report_is_due_ = true;
}

// Of an operation whose processes are gone nothing is left but what they have made of this process.
bool Shim::can_stay() const noexcept {
    return no_children_ && Inheritance::of_this_process() == self_.inheritance;
}

void Shim::send_report(bool with_description) {
    report_.signals = canceller_.signals();
    report_.processes = canceller_.processes();
    report_.shields = shields_.count();
    report_.shield_limit = shields_.longest_limit();
    const auto held_until = shields_.until();
    report_.held_until = WallTime{};
    if (held_until)
        report_.held_until =
            wall_now() + std::chrono::duration_cast<std::chrono::microseconds>(*held_until - Clock::now());
    report_is_due_ = false;
    if (!channel_) return;
    if (with_description && !spec_memory_)
        if (auto memory = make_description(description_)) spec_memory_ = std::move(*memory);
    const int memory = spec_memory_.get();
    const auto sent = send_packet(channel_.get(), encode(report_),
                                  std::span(&memory, with_description && spec_memory_ ? 1 : 0));
    if (sent) return;
    if (sent.error().os_errno == EAGAIN || sent.error().os_errno == ENOBUFS)
        report_is_due_ = true;
    else
        channel_.reset();
}

void Shim::read_channel() {
    // What follows a release is for whoever comes after this operation.
    while (channel_ && !released_) {
        auto packet = receive_packet(channel_.get());
        if (!packet && packet.error().os_errno == EAGAIN) return;
        if (!packet || packet->bytes.empty()) {
            channel_.reset();
            return;
        }
        if (auto command = decode_command(packet->bytes)) obey(std::move(*command), std::move(*packet));
    }
}

void Shim::obey(ShimCommand command, Packet packet) {
    switch (command.kind) {
        case ShimCommandKind::cancel:
            cancel({.reason = command.reason,
                    .message = command.message,
                    .uid = command.uid,
                    .pid = command.pid,
                    .signal = command.plan.empty() ? 0 : command.plan.front().signal},
                   command.plan);
            return;
        case ShimCommandKind::signal:
            signal(command.signal, command.tree);
            return;
        case ShimCommandKind::pause:
        case ShimCommandKind::resume:
            pause(command);
            return;
        case ShimCommandKind::shield:
            raise_shield(packet.take_descriptor(), command.limit);
            return;
        case ShimCommandKind::release:
            if (report_.over) release(command.stay && report_.can_stay);
            return;
        case ShimCommandKind::assign:
            if (!report_.over || !report_.can_stay) return;  // There is one already.
            release(true);
            next_ = take_assignment(std::move(command), std::move(packet));
            return;
    }
}

// What its operation has in the directory is the supervisor's to remove, where there is one that goes on.
void Shim::release(bool to_stay) {
    released_ = true;
    stays_ = to_stay;
    if (!to_stay)
        remove_presence(directory_.get(), spec_.id);
    else if (listener_)
        self_.listener = std::move(listener_);
}

// The one who holds the other end waits for our pid: whose signals reach its command without its help. Where
// nothing comes, there is no shield.
void Shim::raise_shield(UniqueFd holder, std::chrono::milliseconds limit) {
    if (report_.over) return;
    const int fd = holder.get();
    if (!shields_.add(std::move(holder), limit)) return;
    const pid_t self = ::getpid();
    static_cast<void>(::send(fd, &self, sizeof self, MSG_NOSIGNAL | MSG_DONTWAIT));
    report_is_due_ = true;
}

// A later supervisor takes over. Whoever can connect has passed the runtime directory's permissions, and is
// asked for its uid all the same.
void Shim::accept_supervisor() {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) return;
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
    if (peer.uid != ::getuid() && peer.uid != 0) return;
    channel_ = std::move(connection);
    pause_asked_ = report_.pause_answered = 0;  // Numbers are those of a connection.
    send_report(true);
}

// Nobody to tell: the record says it, to whoever comes next. A supervisor that connects while it is being
// written finds the connection closed and then the record.
void Shim::supervisor_lost() {
    if (!listener_) {
        released_ = true;
        return;
    }
    if (!write_exit_record(directory_.get(), spec_, report_)) {
        // A full or vanished directory: the report waits here for the next supervisor.
        return;
    }
    listener_.reset();
    remove_presence(directory_.get(), spec_.id);
    released_ = true;
}

}  // namespace cancelable
