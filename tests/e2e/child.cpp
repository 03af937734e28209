#include "tests/e2e/child.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "tests/e2e/process_tree.h"

namespace cancelable::e2e {
namespace {

constexpr uid_t kNobody = 65534;

Pipe collecting_pipe() {
    auto pipe = make_pipe();
    if (!pipe) throw std::runtime_error(pipe.error().sentence());
    // Only this end: the other one is a description of its own, and the program must find it blocking.
    ::fcntl(pipe->read_end.get(), F_SETFL, O_NONBLOCK);
    return std::move(*pipe);
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> result;
    for (const std::string& word : words)
        result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

[[noreturn]] void exec_in_child(const std::vector<std::string>& command, const SpawnOptions& options,
                                const std::array<int, 3>& stdio) {
    // First out of the way of 0 to 2, so that no descriptor is overwritten before it is used.
    std::array<int, 3> kept{};
    for (std::size_t i = 0; i < 3; ++i)
        kept[i] = stdio[i] < 0 ? stdio[i] : ::fcntl(stdio[i], F_DUPFD, 100);
    for (int i = 0; i < 3; ++i) {
        const int fd = kept[static_cast<std::size_t>(i)];
        if (fd < 0) {
            ::close(i);
        } else {
            ::dup2(fd, i);
            ::close(fd);
        }
    }
    // A test must not depend on what its own parents ignore or block.
    for (int number = 1; number < NSIG; ++number)
        std::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (!options.as_root) become_test_user();
    if (::chdir(options.cwd.c_str()) != 0) ::_exit(120);
    if (options.in_child) options.in_child();
    ::execve(command[0].c_str(), pointers(command).data(), pointers(options.environment).data());
    std::perror(command[0].c_str());
    ::_exit(121);
}

}  // namespace

uid_t test_user() {
    return ::geteuid() == 0 ? kNobody : ::geteuid();
}

gid_t test_group() {
    return ::geteuid() == 0 ? kNobody : ::getegid();
}

void become_test_user() {
    if (::geteuid() != 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
        ::setresuid(kNobody, kNobody, kNobody) != 0)
        ::_exit(122);
    // As a log-in would leave it: /proc/self of the user's own processes belongs to that user.
    ::prctl(PR_SET_DUMPABLE, 1);
}

Child Child::spawn(const std::vector<std::string>& command, const SpawnOptions& options) {
    UniqueFd null;
    std::array<int, 3> stdio = options.stdio;
    if (stdio[0] == SpawnOptions::kDefault) {
        null.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        stdio[0] = null.get();
    }
    Pipe out;
    Pipe err;
    if (stdio[1] == SpawnOptions::kDefault) {
        out = collecting_pipe();
        stdio[1] = out.write_end.get();
    }
    if (stdio[2] == SpawnOptions::kDefault) {
        err = collecting_pipe();
        stdio[2] = err.write_end.get();
    }
    // A signal that is meant for the program must not meet the test framework's handlers in the child.
    sigset_t everything;
    sigset_t before;
    sigfillset(&everything);
    ::sigprocmask(SIG_SETMASK, &everything, &before);
    const pid_t pid = ::fork();
    if (pid == 0) exec_in_child(command, options, stdio);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) throw std::runtime_error("cannot fork");
    return {pid, std::move(out.read_end), std::move(err.read_end)};
}

Child::Child(pid_t pid, UniqueFd out, UniqueFd err)
    : pid_(pid), pidfd_(open_pidfd(pid)), out_(std::move(out)), err_(std::move(err)) {}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      out_text_(std::move(other.out_text_)),
      err_text_(std::move(other.err_text_)) {}

Child::~Child() {
    if (pid_ < 0) return;
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

bool Child::has_ended() const {
    return pid_ < 0 || wait_readable(pidfd_.get(), Deadline(std::chrono::milliseconds(0)));
}

void Child::signal(int number) const {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

bool Child::drain(UniqueFd& from, std::string& into) {
    char buffer[65536];
    while (from) {
        const ssize_t got = ::read(from.get(), buffer, sizeof buffer);
        if (got > 0) {
            into.append(buffer, static_cast<std::size_t>(got));
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            // A terminal's master says EIO where a pipe says end of file.
            from.reset();
        } else if (errno == EAGAIN) {
            return true;
        }
    }
    return false;
}

void Child::pump(const std::function<bool()>& enough, bool watch_process) {
    const Deadline deadline;
    while (true) {
        const bool ended = has_ended();
        drain(out_, out_text_);
        drain(err_, err_text_);
        if (enough() || (watch_process && ended)) return;
        pollfd entries[3] = {{out_ ? out_.get() : -1, POLLIN, 0},
                             {err_ ? err_.get() : -1, POLLIN, 0},
                             {ended ? -1 : pidfd(), POLLIN, 0}};
        if (::poll(entries, 3, deadline.remaining_ms()) == 0 || deadline.passed())
            throw Impatient("the process goes on and on; it wrote: " + out_text_ + err_text_);
    }
}

Finished Child::reap() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    Finished finished;
    finished.by_signal = WIFSIGNALED(status);
    finished.status = finished.by_signal ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    finished.out = std::move(out_text_);
    finished.err = std::move(err_text_);
    return finished;
}

Finished Child::wait() {
    pump([] { return false; }, true);
    return reap();
}

Finished Child::wait_for_end_of_file() {
    pump([this] { return !out_ && !err_ && has_ended(); }, false);
    return reap();
}

const std::string& Child::wait_for_output(std::string_view text) {
    pump([&] { return !out_ || out_text_.find(text) != std::string::npos; }, true);
    return out_text_;
}

const std::string& Child::wait_for_error(std::string_view text) {
    pump([&] { return !err_ || err_text_.find(text) != std::string::npos; }, true);
    return err_text_;
}

}  // namespace cancelable::e2e
