#include "cli/start_supervisor.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <string_view>
#include <vector>

#include "engine/process/fd.h"

namespace cancelable::cli {
namespace {

// Where the ready pipe is in the supervisor.
constexpr int kReadyFd = 3;

std::string own_program() {
    char path[PATH_MAX];
    const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
    const std::string_view found(path, length > 0 ? static_cast<std::size_t>(length) : 0);
    // After an upgrade the name leads to another program, or nowhere; the link itself still leads to this
    // one.
    if (found.empty() || found.ends_with(" (deleted)")) return "/proc/self/exe";
    return std::string(found);
}

// Runs in the child. Says why it failed where the supervisor would have.
[[noreturn]] void become_supervisor(const std::string& program, const std::vector<const char*>& arguments,
                                    int ready_fd) {
    ::setsid();
    // The session's leader goes at once, so that no terminal that the supervisor opens can ever become its
    // own.
    const pid_t second = ::fork();
    if (second != 0) ::_exit(second < 0 ? 1 : 0);

    // A handler does not survive the exec, but what is ignored stays so, and so does the mask.
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    (void)!::chdir("/");

    // The ready pipe first: it may lie where the others are to go.
    const int parked = ::fcntl(ready_fd, F_DUPFD, kReadyFd + 1);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; ++fd)
        ::dup2(null, fd);
    ::dup2(parked, kReadyFd);
    ::close_range(kReadyFd + 1, ~0U, 0);
    ::execv(program.c_str(), const_cast<char**>(arguments.data()));
    const std::string sentence = fmt::format("cannot execute \"{}\": {}\n", program, errno_text(errno));
    (void)!::write(kReadyFd, sentence.data(), sentence.size());
    ::_exit(127);
}

}  // namespace

Result<Started> start_supervisor(const SupervisorCommand& command) {
    auto pipe = make_pipe();
    if (!pipe) return std::unexpected(pipe.error());
    const std::string program = own_program();
    const std::string ready_number = std::to_string(kReadyFd);
    std::vector<const char*> arguments{"cancelable", "--socket", command.socket.c_str()};
    if (!command.config.empty()) arguments.insert(arguments.end(), {"--config", command.config.c_str()});
    arguments.insert(arguments.end(), {"supervisor", "run", "--ready-fd", ready_number.c_str()});
    if (command.on_demand) arguments.push_back("--on-demand");
    arguments.push_back(nullptr);

    const pid_t child = ::fork();
    if (child < 0) return system_error("cannot start a supervisor");
    if (child == 0) become_supervisor(program, arguments, pipe->write_end.get());
    pipe->write_end.reset();
    int status = 0;
    retry_eintr([&] { return ::waitpid(child, &status, 0); });

    std::string answer;
    char buffer[512];
    for (;;) {
        const ssize_t got = retry_eintr([&] { return ::read(pipe->read_end.get(), buffer, sizeof buffer); });
        if (got <= 0) break;
        answer.append(buffer, static_cast<std::size_t>(got));
        if (answer.ends_with('\n')) break;
    }
    if (answer == "ok\n") return Started::ready;
    if (answer == "busy\n") return Started::busy;
    if (answer.ends_with('\n')) answer.pop_back();
    if (answer.empty()) return Started::died;
    return failure(ErrorCode::unreachable, answer);
}

}  // namespace cancelable::cli
