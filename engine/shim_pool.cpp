#include "engine/shim_pool.h"

#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

namespace cancelable {
namespace {

constexpr std::size_t kKept = 2;
constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::seconds kPartingPatience{1};

bool is_reaped(const Child& process) {
    siginfo_t info{};
    const int result = retry_eintr(
        [&] { return ::waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED | WNOHANG); });
    return result != 0 || info.si_pid != 0;
}

}  // namespace

ShimPool::ShimPool(Loop& loop) : loop_(loop), timer_(loop, [this] { trim(); }) {}

ShimPool::~ShimPool() {
    for (Idle& idle : idle_)
        idle.shim.channel.reset();
    leaving_.splice(leaving_.end(), idle_);
    const auto deadline = std::chrono::steady_clock::now() + kPartingPatience;
    for (Idle& idle : leaving_) {
        idle.death.reset();
        const auto left = deadline - std::chrono::steady_clock::now();
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        pollfd watched{idle.shim.process.pidfd.get(), POLLIN, 0};
        if (::poll(&watched, 1, static_cast<int>(std::max<long>(wait, 0))) > 0)
            static_cast<void>(is_reaped(idle.shim.process));
    }
}

void ShimPool::put(LaunchedShim shim) {
    idle_.push_back({std::move(shim), nullptr});
    const auto entry = std::prev(idle_.end());
    entry->death = std::make_unique<Watch>(loop_, entry->shim.process.pidfd.get(), [this, entry](Readiness) {
        if (is_reaped(entry->shim.process)) idle_.erase(entry);
    });
    entry->death->want(true, false);
    if (idle_.size() > kKept && !timer_.is_active()) {
        spare_ = idle_.size();
        timer_.start(kLook);
    }
}

std::optional<LaunchedShim> ShimPool::take() {
    if (idle_.empty()) return std::nullopt;
    LaunchedShim shim = std::move(idle_.back().shim);
    idle_.pop_back();
    spare_ = std::min(spare_, idle_.size());
    return shim;
}

void ShimPool::end(LaunchedShim shim) {
    shim.channel.reset();
    leaving_.push_back({std::move(shim), nullptr});
    const auto entry = std::prev(leaving_.end());
    entry->death = std::make_unique<Watch>(loop_, entry->shim.process.pidfd.get(), [this, entry](Readiness) {
        if (is_reaped(entry->shim.process)) leaving_.erase(entry);
    });
    entry->death->want(true, false);
}

bool ShimPool::owns(pid_t pid) const noexcept {
    const auto is_it = [pid](const Idle& idle) { return idle.shim.process.pid == pid; };
    return std::ranges::any_of(idle_, is_it) || std::ranges::any_of(leaving_, is_it);
}

void ShimPool::trim() {
    // The oldest: those at the end are the ones that were in use.
    for (; spare_ > 0 && idle_.size() > kKept; --spare_) {
        LaunchedShim shim = std::move(idle_.front().shim);
        idle_.pop_front();
        end(std::move(shim));
    }
    spare_ = idle_.size();
    if (idle_.size() > kKept) timer_.start(kLook);
}

}  // namespace cancelable
