#include "cli/wrapped_command.h"

#include <fmt/format.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/render/text.h"
#include "cli/report.h"
#include "engine/process/fd.h"
#include "engine/process/search_path.h"

extern char** environ;

namespace cancelable::cli {
namespace {

constexpr int kPassedOn[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGCONT};
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

sigset_t handled_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : kPassedOn)
        ::sigaddset(&set, number);
    ::sigaddset(&set, SIGCHLD);
    return set;
}

}  // namespace

WrappedCommand::WrappedCommand() {
    ::sigaction(SIGCHLD, nullptr, &sigchld_before_);
    // Where it is ignored, as some parents leave it, nobody could wait for a child.
    struct sigaction by_default{};
    by_default.sa_handler = SIG_DFL;
    ::sigaction(SIGCHLD, &by_default, nullptr);
    const sigset_t handled = handled_signals();
    ::pthread_sigmask(SIG_BLOCK, &handled, &mask_before_);
}

void WrappedCommand::become(const std::vector<std::string>& command) const {
    ::sigaction(SIGCHLD, &sigchld_before_, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
    std::vector<std::string> environment;
    for (char** variable = environ; *variable != nullptr; ++variable)
        environment.emplace_back(*variable);
    std::vector<char*> arguments;
    for (const std::string& word : command)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    // As a command of `run`: one that is there but cannot be executed says more than one that is not there.
    int worst = ENOENT;
    for (const std::string& path : search_path(command.front(), environment)) {
        ::execve(path.c_str(), arguments.data(), environ);
        if (errno != ENOENT && errno != ENOTDIR) worst = errno;
    }
    report_error(fmt::format("cannot execute {}: {}", in_quotes(command.front()), errno_text(worst)));
    ::_exit(worst == ENOENT ? kNotFound : kCannotExecute);
}

Result<int> WrappedCommand::run(const std::vector<std::string>& command, pid_t not_from) {
    const sigset_t handled = handled_signals();
    const UniqueFd signals(::signalfd(-1, &handled, SFD_CLOEXEC));
    if (!signals) return system_error("cannot watch signals");
    const pid_t child = ::fork();
    if (child < 0) return system_error("cannot start the command");
    if (child == 0) become(command);
    for (;;) {
        int status = 0;
        // Not reaped yet, so below the number is still the command's.
        const pid_t ended = retry_eintr([&] { return ::waitpid(child, &status, WNOHANG); });
        if (ended == child) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (ended < 0) return system_error("cannot wait for the command");
        signalfd_siginfo info{};
        const ssize_t got = retry_eintr([&] { return ::read(signals.get(), &info, sizeof info); });
        if (got != static_cast<ssize_t>(sizeof info)) return system_error("cannot read signals");
        const int number = static_cast<int>(info.ssi_signo);
        if (number == SIGCHLD || static_cast<pid_t>(info.ssi_pid) == not_from) continue;
        ::kill(child, number);
    }
}

}  // namespace cancelable::cli
