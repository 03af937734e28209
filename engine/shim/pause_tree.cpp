#include "engine/shim/pause_tree.h"

#include <algorithm>
#include <csignal>

#include "engine/process/proc.h"

namespace cancelable {
namespace {

// Without a pause between them, since what hands over to a child all the time is caught by being quick.
constexpr int kLooksAtOnce = 16;

constexpr std::chrono::milliseconds kLongestWait{20};

// What cannot be stopped may start what can, and so may what wakes up.
constexpr std::chrono::milliseconds kLookAgain{250};

// Longer than a fork takes, also of a large process on a busy machine.
constexpr std::chrono::seconds kSoundSleep{1};

// What was hidden from one look by a death is seen by the next.
constexpr int kLooksToResume = 4;

}  // namespace

void PauseTree::pause(Clock::time_point now) {
    if (state_ != State::running) return;
    state_ = State::pausing;
    give_up_at_ = now + kPatience;
    wait_ = std::chrono::milliseconds(1);
    due_ = now;
    advance(now);
}

void PauseTree::advance(Clock::time_point now) {
    if (!due_ || now < *due_) return;
    Sight sight = Sight::moving;
    for (int i = 0; i < kLooksAtOnce && sight == Sight::moving; ++i)
        sight = look(now);
    if (state_ == State::pausing && sight == Sight::held) state_ = State::paused;
    if (state_ == State::paused) {
        due_.reset();
        if (!unstoppable_.empty() || has_sleepers_) due_ = now + kLookAgain;
    } else if (now >= give_up_at_) {
        resume();
    } else {
        due_ = now + wait_;
        wait_ = std::min(wait_ * 2, kLongestWait);
    }
}

// As the last look has seen it; null where that has not.
const PauseTree::Seen* PauseTree::known(pid_t pid, std::uint64_t start_time) const {
    const auto seen = last_.find(pid);
    return seen != last_.end() && seen->second.start_time == start_time ? &seen->second : nullptr;
}

// Stops what runs. The top of the header says when a tree is held.
PauseTree::Sight PauseTree::look(Clock::time_point now) {
    bool is_held = true;
    bool is_waited_for = false;
    Look seen;
    unstoppable_.clear();
    has_sleepers_ = false;
    tree_.clear();
    tree_.grow([&](pid_t pid, const ProcStat& stat, int pidfd) {
        const Seen* before = known(pid, stat.start_time);
        Seen& process = seen[pid] = {.start_time = stat.start_time};
        const Activity activity = activity_of(pid, stat);
        if (activity == Activity::stopped) {
            is_held = is_held && before != nullptr;
            return;
        }
        // Also to one that is asleep, each time: a SIGCONT takes the signal off again.
        if (pidfd_send_signal(pidfd, SIGSTOP) != 0) {
            const bool is_refused = errno == EPERM;
            if (is_refused) unstoppable_.push_back(pid);
            is_held = is_held && is_refused;
            return;
        }
        stopped_[pid] = stat.start_time;
        if (activity == Activity::running) {
            is_held = false;
            return;
        }
        has_sleepers_ = true;
        process.asleep_since = before != nullptr ? before->asleep_since.value_or(now) : now;
        is_waited_for = is_waited_for || now - *process.asleep_since < kSoundSleep;
    });
    for (const auto& [pid, start_time] : tree_.corpses()) {
        const Seen* before = known(pid, start_time);
        is_held = is_held && before != nullptr && before->is_corpse;
        seen[pid] = {.start_time = start_time, .is_corpse = true};
    }
    for (const auto& [pid, before] : last_) {
        const auto found = seen.find(pid);
        const bool is_there = found != seen.end() && found->second.start_time == before.start_time;
        is_held = is_held && (before.is_corpse || is_there);
    }
    last_ = std::move(seen);
    if (!is_held || tree_.missed() != 0 || tree_.is_full() || tree_.has_died()) return Sight::moving;
    return is_waited_for ? Sight::asleep : Sight::held;
}

void PauseTree::resume() {
    for (int i = 0; i < kLooksToResume && !stopped_.empty(); ++i) {
        tree_.clear();
        tree_.grow();
        tree_.signal_children_first(SIGCONT, [this](pid_t pid, std::uint64_t start_time) {
            // Once only: by the next look it may have stopped itself.
            const auto stopped = stopped_.find(pid);
            const bool is_ours = stopped != stopped_.end() && stopped->second == start_time;
            if (is_ours) stopped_.erase(stopped);
            return is_ours;
        });
    }
    abandon();
}

void PauseTree::abandon() {
    state_ = State::running;
    due_.reset();
    tree_.clear();
    stopped_.clear();
    last_.clear();
    unstoppable_.clear();
}

}  // namespace cancelable
