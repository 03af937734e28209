#include "engine/strays.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace cancelable {
namespace {

constexpr std::chrono::milliseconds kPause{2};

}  // namespace

Strays::Strays(Loop& loop, std::function<bool(pid_t)> is_own)
    : tree_(std::move(is_own)), timer_(loop, [this] { round(); }) {}

void Strays::end(Ended ended) {
    waiting_.push_back(std::move(ended));
    empty_passes_ = 0;
    if (canceller_) return;
    canceller_ = std::make_unique<TreeCanceller>(tree_);
    canceller_->begin({}, TreeCanceller::Clock::now());
    timer_.start(kPause);
}

void Strays::round() {
    reap();
    canceller_->advance(TreeCanceller::Clock::now());
    // The children are listed without a lock, so that one empty pass may be an accident.
    empty_passes_ = tree_.direct_children().empty() ? empty_passes_ + 1 : 0;
    if (empty_passes_ < 2 && canceller_->survivors().empty()) {
        const auto rest = *canceller_->due() - TreeCanceller::Clock::now();
        timer_.start(std::max(kPause, std::chrono::ceil<std::chrono::milliseconds>(rest)));
        return;
    }
    const std::vector<pid_t> survivors = canceller_->survivors();
    canceller_.reset();
    for (const Ended& ended : std::exchange(waiting_, {}))
        ended(survivors);
}

void Strays::reap() {
    // Our own unreaped children: their numbers cannot have been given to anyone else.
    for (const pid_t pid : tree_.direct_children()) {
        siginfo_t info{};
        retry_eintr([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG); });
    }
}

}  // namespace cancelable
