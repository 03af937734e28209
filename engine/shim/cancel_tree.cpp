#include "engine/shim/cancel_tree.h"

#include <algorithm>
#include <csignal>

#include "engine/process/proc.h"

namespace cancelable {
namespace {

// After a death that follows a polite signal. Each look after that waits four times as long for others.
constexpr std::chrono::milliseconds kFirstLook{2};

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
        step_ends_ = now;
        due_ = now;
        advance(now);
        return;
    }
    if (hard_at >= *hard_at_) return;
    hard_at_ = hard_at;
    next_step_ = plan_.size();
    step_ends_ = hard_at;
    due_ = std::min(*due_, hard_at);
    advance(now);
}

void TreeCanceller::advance(Clock::time_point now) {
    if (!due_ || now < *due_) return;
    if (now < step_ends_)
        look_again();
    else if (next_step_ < plan_.size())
        polite_step(plan_[next_step_++], now);
    else
        hard_round(now);
}

void TreeCanceller::polite_step(const StopStep& step, Clock::time_point now) {
    signal_ = step.signal;
    step_ends_ = now + step.wait;
    asked_.clear();
    until_look_ = kFirstLook;
    ask();
}

void TreeCanceller::saw_death(Clock::time_point now) {
    // Many die at about the same time.
    if (has_begun() && now < step_ends_) due_ = std::min(*due_, now + until_look_);
}

void TreeCanceller::look_again() {
    until_look_ = std::min(until_look_ * 4, kLongestPause);
    ask();
}

// Sends the step's signal to those that have not had it, unless somebody lives who may answer.
void TreeCanceller::ask() {
    due_ = step_ends_;
    // A shell starts its background jobs with SIGINT and SIGQUIT ignored, so that Ctrl-C spares them. Here
    // nothing is to be spared, and they would only sit out the wait: so they get the signal that asks them
    // all the same.
    const bool may_spare = signal_ == SIGINT || signal_ == SIGQUIT;
    bool is_answering = false;
    std::unordered_map<pid_t, Asked> found;
    tree_.clear();
    tree_.grow([&](pid_t pid, const ProcStat& stat, int) {
        const bool may_answer = stat.may_answer(signal_) || (may_spare && stat.may_answer(SIGTERM));
        const auto asked = asked_.find(pid);
        if (asked == asked_.end() || asked->second.start_time != stat.start_time) {
            found[pid] = {stat.start_time, may_answer};
            return;
        }
        asked->second.may_answer |= may_answer;
        is_answering |= asked->second.may_answer;
    });
    if (!is_answering && !found.empty()) {
        const auto is_found = [&](pid_t pid) { return found.contains(pid); };
        const auto is_spared = [&](pid_t pid) {
            const bool spared =
                is_found(pid) && ignores_signal(pid, signal_) && !ignores_signal(pid, SIGTERM);
            if (spared) note_signal(SIGTERM);
            return spared;
        };
        std::vector<pid_t> refused;
        tree_.signal_if(signal_, is_found, refused);
        for (const pid_t pid : refused)
            found.erase(pid);
        note_signal(signal_);
        if (may_spare) tree_.signal_if(SIGTERM, is_spared, refused);
        // A stopped process would not hear it before the hard way came.
        tree_.signal_if(SIGCONT, is_found, refused);
        for (const auto& [pid, asked] : found)
            asked_[pid] = asked;
    }
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
    due_ = now + until_round_;
    until_round_ = std::min(until_round_ * 2, kLongestPause);
}

void TreeCanceller::note_signal(int number) {
    if (std::ranges::find(signals_, number) == signals_.end()) signals_.push_back(number);
}

}  // namespace cancelable
