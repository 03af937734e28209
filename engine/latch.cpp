#include "engine/latch.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>
#include <utility>

#include "engine/process/fd.h"

namespace cancelable {
namespace {

// A packed word: bit 0 is 1, then 4 bits of reason, 7 of signal, 52 of microseconds since 1970 (until 2112).
// A reason of its own marks what a handler set.
constexpr unsigned kReasonShift = 1;
constexpr unsigned kSignalShift = 5;
constexpr unsigned kTimeShift = 12;
constexpr unsigned kFromHandler = 0xf;

std::uint64_t pack(unsigned reason, int signal_number, WallTime at) noexcept {
    return 1U | std::uint64_t{reason} << kReasonShift |
           static_cast<std::uint64_t>(signal_number & 0x7f) << kSignalShift |
           static_cast<std::uint64_t>(at.time_since_epoch().count()) << kTimeShift;
}

bool is_packed(std::uint64_t word) noexcept {
    return (word & 1U) != 0;
}

unsigned reason_bits(std::uint64_t word) noexcept {
    return static_cast<unsigned>(word >> kReasonShift & 0xf);
}

std::string signal_message(int signal_number) {
    if (signal_number == 0) return {};
    const char* abbreviation = ::sigabbrev_np(signal_number);
    return abbreviation != nullptr ? "SIG" + std::string(abbreviation)
                                   : "signal " + std::to_string(signal_number);
}

Verdict unpack(std::uint64_t word) {
    Verdict verdict;
    const unsigned reason = reason_bits(word);
    verdict.reason =
        reason == kFromHandler ? CancelationReason::signal : static_cast<CancelationReason>(reason);
    verdict.signal_number = static_cast<int>(word >> kSignalShift & 0x7f);
    verdict.message = signal_message(verdict.signal_number);
    verdict.at = WallTime(std::chrono::microseconds(word >> kTimeShift));
    return verdict;
}

const Verdict* on_heap(std::uint64_t word) noexcept {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): one word for both is what the latch is made of.
    return reinterpret_cast<const Verdict*>(word);
}

long futex(const std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* deadline) noexcept {
    return ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, deadline, nullptr,
                     FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

CancelLatch::~CancelLatch() {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (word != 0 && !is_packed(word)) delete on_heap(word);
    if (const int fd = wake_fd_.load(std::memory_order_acquire); fd >= 0) ::close(fd);
}

bool CancelLatch::publish(std::uint64_t word) noexcept {
    std::uint64_t unset = 0;
    // Sequentially consistent from here on: whoever goes to sleep, or makes the descriptor, at this moment
    // first says so and then looks at the word, so either they see it set, or they are seen here.
    if (!word_.compare_exchange_strong(unset, word)) return false;
    woken_.store(1);
    if (sleepers_.load() != 0) futex(woken_, FUTEX_WAKE_BITSET, INT_MAX, nullptr);
    if (const int fd = wake_fd_.load(); fd >= 0) {
        const std::uint64_t one = 1;
        // It cannot fail: the counter is far from full, and a signal doesn't interrupt a write that needn't
        // block.
        [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
    }
    return true;
}

bool CancelLatch::set(Verdict verdict) noexcept {
    if (is_set()) return false;
    verdict.at = wall_now();
    const std::uint64_t packed =
        pack(static_cast<unsigned>(verdict.reason), verdict.signal_number, verdict.at);
    if (verdict.message.empty() || verdict.signal_number != 0) return publish(packed);
    std::unique_ptr<Verdict> kept(new (std::nothrow) Verdict(std::move(verdict)));
    if (!kept) return publish(packed);
    // Once it is published the latch owns it.
    return publish(reinterpret_cast<std::uint64_t>(kept.get())) && kept.release() != nullptr;
}

bool CancelLatch::set_from_signal(int signal_number) noexcept {
    const int saved = errno;
    const bool first = publish(pack(kFromHandler, signal_number, wall_now()));
    errno = saved;
    return first;
}

bool CancelLatch::was_set_from_signal() const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return is_packed(word) && reason_bits(word) == kFromHandler;
}

std::optional<Verdict> CancelLatch::verdict() const {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (word == 0) return std::nullopt;
    return is_packed(word) ? unpack(word) : *on_heap(word);
}

void CancelLatch::wait() const noexcept {
    sleepers_.fetch_add(1);
    while (word_.load() == 0)
        futex(woken_, FUTEX_WAIT_BITSET, 0, nullptr);
    sleepers_.fetch_sub(1);
}

bool CancelLatch::wait_until(std::chrono::steady_clock::time_point deadline) const noexcept {
    if (is_set()) return true;
    const auto since_boot = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch());
    if (since_boot.count() < 0) return false;
    // The deadline is absolute and on the monotonic clock, which is what a bitset wait takes: nothing to
    // reckon anew after an interruption.
    const timespec until{static_cast<time_t>(since_boot.count() / 1'000'000'000),
                         since_boot.count() % 1'000'000'000};
    sleepers_.fetch_add(1);
    while (word_.load() == 0) {
        if (futex(woken_, FUTEX_WAIT_BITSET, 0, &until) == -1 && errno == ETIMEDOUT) break;
    }
    sleepers_.fetch_sub(1);
    return is_set();
}

Result<int> CancelLatch::wake_fd() {
    if (const int fd = wake_fd_.load(); fd >= 0) return fd;
    UniqueFd made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!made) return system_error("cannot make an eventfd");
    int none = -1;
    if (!wake_fd_.compare_exchange_strong(none, made.get())) return none;
    const int fd = made.release();
    if (word_.load() != 0) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(fd, &one, sizeof one);
    }
    return fd;
}

}  // namespace cancelable
