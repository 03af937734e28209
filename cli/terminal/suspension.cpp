#include "cli/terminal/suspension.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace cancelable::cli {
namespace {

// All that the handlers know.
std::atomic<int> stops{0};
std::atomic<bool> asked{false};
std::atomic<int> waiting_descriptor{-1};

void wake_waiting() noexcept {
    const int saved = errno;
    const std::uint64_t one = 1;
    (void)!::write(waiting_descriptor.load(std::memory_order_relaxed), &one, sizeof one);
    errno = saved;
}

void on_stop(int) noexcept {
    stops.fetch_add(1);
    asked = true;
    wake_waiting();
}

void on_continue(int) noexcept {
    asked = false;
    wake_waiting();
}

bool handle(int signal_number, void (*handler)(int), struct sigaction* before = nullptr) noexcept {
    struct sigaction action{};
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    action.sa_handler = handler;
    return ::sigaction(signal_number, &action, before) == 0;
}

}  // namespace

Suspension::Suspension(int wake_fd) noexcept {
    if (::sigaction(SIGTSTP, nullptr, &before_stop_) != 0 || before_stop_.sa_handler == SIG_IGN) return;
    stops = 0;
    asked = false;
    waiting_descriptor = wake_fd;
    is_handled_ = handle(SIGCONT, &on_continue, &before_continue_) && handle(SIGTSTP, &on_stop);
}

Suspension::~Suspension() {
    if (!is_handled_) return;
    ::sigaction(SIGTSTP, &before_stop_, nullptr);
    ::sigaction(SIGCONT, &before_continue_, nullptr);
    waiting_descriptor = -1;
}

bool Suspension::is_asked() const noexcept {
    return asked;
}

int Suspension::count() const noexcept {
    return stops;
}

// The signal waits, blocked, while it is seen whether a SIGCONT has come before it; one that comes from then
// on takes the waiting signal away. So no SIGCONT is slept through.
void Suspension::stop() noexcept {
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, SIGTSTP);
    ::pthread_sigmask(SIG_BLOCK, &one, nullptr);
    ::signal(SIGTSTP, SIG_DFL);
    ::kill(::getpid(), SIGTSTP);
    if (!asked) ::signal(SIGTSTP, SIG_IGN);
    ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    asked = false;
    handle(SIGTSTP, &on_stop);
}

}  // namespace cancelable::cli
