#include "cli/terminal/signals.h"

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>

namespace cancelable::cli {
namespace {

// All that the handlers know. Set before they are installed.
SignalTokens* active = nullptr;
std::atomic<int> first_signal{0};
std::atomic<std::uint64_t> passed_on_bits{0};
std::atomic<int> wake_descriptor{-1};

static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

void wake() noexcept {
    const std::uint64_t one = 1;
    // Only a counter at its very top refuses, and then it is readable anyway.
    (void)!::write(wake_descriptor.load(std::memory_order_relaxed), &one, sizeof one);
}

}  // namespace

void SignalTokens::on_cancelling(int signal_number) noexcept {
    const int saved = errno;
    int none = 0;
    if (first_signal.compare_exchange_strong(none, signal_number))
        active->polite_.cancel_from_signal(signal_number);
    else if (signal_number == SIGINT || signal_number == SIGTERM)
        active->hurry_.cancel_from_signal(signal_number);
    wake();
    errno = saved;
}

void SignalTokens::on_passed_on(int signal_number) noexcept {
    const int saved = errno;
    passed_on_bits.fetch_or(std::uint64_t{1} << (signal_number - 1));
    wake();
    errno = saved;
}

Result<std::unique_ptr<SignalTokens>> SignalTokens::install(std::span<const int> passed_on) {
    std::unique_ptr<SignalTokens> tokens(new SignalTokens);
    tokens->wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!tokens->wake_) return system_error("cannot make an event descriptor");
    first_signal = 0;
    passed_on_bits = 0;
    wake_descriptor = tokens->wake_.get();
    active = tokens.get();

    struct sigaction action{};
    action.sa_flags = SA_RESTART;
    ::sigfillset(&action.sa_mask);
    action.sa_handler = &SignalTokens::on_cancelling;
    for (const int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
        tokens->handle(signal_number, action);
    action.sa_handler = &SignalTokens::on_passed_on;
    for (const int signal_number : passed_on)
        tokens->handle(signal_number, action);
    return tokens;
}

void SignalTokens::handle(int signal_number, const struct sigaction& action) {
    Before before{signal_number, {}};
    // Asked first, since one that comes meanwhile is to be ignored as well.
    if (signal_number == SIGHUP) {
        if (::sigaction(SIGHUP, nullptr, &before.action) != 0 || before.action.sa_handler == SIG_IGN) return;
    }
    if (::sigaction(signal_number, &action, &before.action) == 0) before_.push_back(before);
}

SignalTokens::~SignalTokens() {
    for (const Before& before : before_)
        ::sigaction(before.signal_number, &before.action, nullptr);
    wake_descriptor = -1;
    active = nullptr;
}

int SignalTokens::polite_signal() const noexcept {
    return first_signal;
}

std::vector<int> SignalTokens::take_passed_on() {
    std::vector<int> taken;
    const std::uint64_t bits = passed_on_bits.exchange(0);
    for (int signal_number = 1; signal_number <= 64; ++signal_number)
        if ((bits >> (signal_number - 1) & 1) != 0) taken.push_back(signal_number);
    return taken;
}

void SignalTokens::drain() noexcept {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
}

}  // namespace cancelable::cli
