#include "engine/shim_pool.h"

#include <algorithm>
#include <utility>

#include "engine/process/pidfd.h"

namespace cancelable {
namespace {

constexpr std::size_t kKept = 2;
constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::seconds kPartingPatience{1};

}  // namespace

ShimPool::ShimPool(Loop& loop) : loop_(loop), timer_(loop, [this] { trim(); }) {}

ShimPool::~ShimPool() {
    for (Idle& idle : idle_)
        idle.shim.channel.reset();
    leaving_.splice(leaving_.end(), idle_);
    const auto deadline = std::chrono::steady_clock::now() + kPartingPatience;
    for (Idle& idle : leaving_) {
        idle.death.reset();
        reap_by(idle.shim.process.pidfd.get(), deadline);
    }
}

void ShimPool::add(std::list<Idle>& to, LaunchedShim shim) {
    to.push_back({std::move(shim), nullptr});
    const auto entry = std::prev(to.end());
    const int pidfd = entry->shim.process.pidfd.get();
    entry->death = std::make_unique<Watch>(loop_, pidfd, [&to, entry, pidfd](Readiness) {
        if (reap(pidfd)) to.erase(entry);
    });
    entry->death->want(true, false);
}

void ShimPool::put(LaunchedShim shim) {
    add(idle_, std::move(shim));
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
    add(leaving_, std::move(shim));
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
