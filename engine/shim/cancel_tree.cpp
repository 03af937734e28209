#include "engine/shim/cancel_tree.h"

#include <algorithm>
#include <csignal>

#include "engine/process/proc.h"

namespace cancelable {
namespace {

constexpr std::chrono::milliseconds kLongestPause{250};

// Five pauses of growing length are some sixty milliseconds: time enough for a process that we may not signal
// to see that its children are dead and to leave by itself.
constexpr int kRoundsUntilSurvivor = 5;

TreeCanceller::Clock::time_point end_of(const StopPlan& plan, TreeCanceller::Clock::time_point now) {
    for (const StopStep& step : plan)
        now += step.wait;
    return now;
}

}  // namespace

void TreeCanceller::begin(const StopPlan& plan, Clock::time_point now) {
    const Clock::time_point hard_at = end_of(plan, now);
    if (!has_begun()) {
        plan_ = plan;
        hard_at_ = hard_at;
        due_ = now;
        advance(now);
        return;
    }
    if (hard_at >= *hard_at_) return;
    hard_at_ = hard_at;
    next_step_ = plan_.size();
    due_ = std::min(*due_, hard_at);
    advance(now);
}

void TreeCanceller::advance(Clock::time_point now) {
    if (!due_ || now < *due_) return;
    if (next_step_ < plan_.size())
        polite_step(plan_[next_step_++], now);
    else
        hard_round(now);
}

void TreeCanceller::polite_step(const StopStep& step, Clock::time_point now) {
    due_ = now + step.wait;
    tree_.clear();
    tree_.grow();
    if (tree_.size() == 0) return;
    std::vector<pid_t> refused;
    tree_.signal(step.signal, refused);
    note_signal(step.signal);
    // A shell starts its background jobs with SIGINT and SIGQUIT ignored, so that Ctrl-C spares them. Here
    // nothing is to be spared, and they would only sit out the wait: so they get the signal that asks them
    // all the same.
    if (step.signal == SIGINT || step.signal == SIGQUIT) {
        const auto is_spared = [&](pid_t pid) {
            const bool spared = ignores_signal(pid, step.signal) && !ignores_signal(pid, SIGTERM);
            if (spared) note_signal(SIGTERM);
            return spared;
        };
        tree_.signal_if(SIGTERM, is_spared, refused);
    }
    // A stopped process would not hear it before the hard way came.
    tree_.signal(SIGCONT, refused);
    tree_.clear();
}

void TreeCanceller::hard_round(Clock::time_point now) {
    std::vector<pid_t> refused;
    tree_.clear();
    while (tree_.grow() > 0) {
        refused.clear();
        tree_.signal(SIGSTOP, refused);
        if (tree_.is_full())
            break;  // Those that are held die first; the rest cannot hide behind them any more.
    }
    refused.clear();
    tree_.signal(SIGKILL, refused);
    if (tree_.size() > refused.size()) note_signal(SIGKILL);

    const bool refusals_only = tree_.size() > 0 && refused.size() == tree_.size();
    rounds_with_refusals_only_ = refusals_only ? rounds_with_refusals_only_ + 1 : 0;
    survivors_.clear();
    if (rounds_with_refusals_only_ >= kRoundsUntilSurvivor) survivors_ = std::move(refused);

    tree_.clear();
    due_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
}

void TreeCanceller::note_signal(int number) {
    if (std::ranges::find(signals_, number) == signals_.end()) signals_.push_back(number);
}

}  // namespace cancelable
