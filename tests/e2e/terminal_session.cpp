#include "tests/e2e/terminal_session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace cancelable::e2e {
namespace {

UniqueFd open_master() {
    UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
        throw std::runtime_error("cannot open a pseudo-terminal");
    return master;
}

void set_columns(int fd, unsigned short columns) {
    const winsize size{24, columns, 0, 0};
    ::ioctl(fd, TIOCSWINSZ, &size);
}

Child start_on(const UniqueFd& master, const Words& command, const SpawnOptions& how,
               unsigned short columns) {
    const std::string name = ::ptsname(master.get());
    if (::geteuid() == 0 && ::chown(name.c_str(), test_user(), test_group()) != 0)
        throw std::runtime_error("cannot chown " + name);
    const UniqueFd slave(::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!slave) throw std::runtime_error("cannot open " + name);
    set_columns(slave.get(), columns);
    SpawnOptions on_terminal = how;
    on_terminal.stdio = {slave.get(), slave.get(), slave.get()};
    on_terminal.in_child = [inner = how.in_child] {
        ::setsid();
        if (::ioctl(0, TIOCSCTTY, 0) != 0) ::_exit(123);
        if (inner) inner();
    };
    return Child::spawn(command, on_terminal);
}

}  // namespace

TerminalSession::TerminalSession(const Words& command, const SpawnOptions& how, unsigned short columns)
    : master_(open_master()), child_(start_on(master_, command, how, columns)) {}

void TerminalSession::type(std::string_view keys) {
    if (::write(master_.get(), keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
        throw std::runtime_error("cannot type");
}

void TerminalSession::resize(unsigned short columns) {
    set_columns(master_.get(), columns);
}

void TerminalSession::read_screen() {
    char buffer[4096];
    // EIO says that nobody has the terminal open; somebody may open it again, so that is no end.
    for (ssize_t got = 0; master_ && (got = ::read(master_.get(), buffer, sizeof buffer)) > 0;)
        screen_.append(buffer, static_cast<std::size_t>(got));
}

const std::string& TerminalSession::wait_for(std::string_view text) {
    wait_for(text, 0);
    return screen_;
}

std::size_t TerminalSession::wait_for(std::string_view text, std::size_t behind) {
    std::size_t found = std::string::npos;
    wait_until("\"" + std::string(text) + "\" on the terminal", [&] {
        const bool ended = child_.has_ended();
        read_screen();
        found = screen_.find(text, behind);
        if (found != std::string::npos) return true;
        if (ended) throw Impatient("ended with this on the terminal: " + screen_);
        return false;
    });
    return found;
}

pid_t TerminalSession::foreground_group() const {
    return ::tcgetpgrp(master_.get());
}

Finished TerminalSession::wait() {
    wait_until("the end of the program on the terminal", [&] {
        const bool ended = child_.has_ended();
        read_screen();
        return ended;
    });
    Finished finished = child_.wait();
    finished.out = screen_;
    return finished;
}

}  // namespace cancelable::e2e
