#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/process/tree.h"
#include "engine/shim/stop_plan.h"

namespace cancelable {

// Ends the tree below the calling process: the polite steps of a plan, then the hard way until nothing is
// left.
//
// A polite step asks every process once. One that comes later may be an answer, such as a clean-up, and is
// left alone as long as a process lives that was asked and can answer: that catches the signal or blocks it.
// After that it is asked too: a shell that is asked between two commands may start the second one and die.
//
// A process that ignores a polite SIGINT or SIGQUIT but not SIGTERM, as a shell's background jobs do, gets
// SIGTERM too.
//
// The hard way, a round: stop every process of the tree, pass after pass, until a pass finds no new one, then
// kill them all. What is stopped forks no more, and a fork that was under way is not completed once its
// process is killed. Rounds repeat with growing pauses: what has been forked in between, or was out of sight,
// falls to us when its parent dies.
//
// It never decides that the tree is gone: only ECHILD does, and reaping is the caller's. Single thread.
class TreeCanceller {
public:
    using Clock = std::chrono::steady_clock;

    explicit TreeCanceller(ProcessTree& tree) : tree_(tree) {}

    // Starts with the plan's first step, at once. A second call can only hurry: the hard way comes no later
    // than it would have come, and no signal is repeated.
    void begin(const StopPlan& plan, Clock::time_point now);

    bool has_begun() const noexcept { return due_.has_value(); }

    // Something of the tree has been reaped: there may be nobody any more who answers.
    void saw_death(Clock::time_point now);

    // Does what is due.
    void advance(Clock::time_point now);

    // When advance() has something to do next; none before begin().
    std::optional<Clock::time_point> due() const noexcept { return due_; }

    // Kinds of signals sent so far, in order of first use. SIGCONT and SIGSTOP serve the others and are not
    // among them.
    const std::vector<int>& signals() const noexcept { return signals_; }

    // How many different processes were found in the tree since begin().
    std::uint64_t processes() const noexcept { return tree_.seen(); }

    // Processes that may not be signalled, once nothing else has been left for a while.
    const std::vector<pid_t>& survivors() const noexcept { return survivors_; }

private:
    void polite_step(const StopStep& step, Clock::time_point now);
    void look_again();
    void ask();
    void hard_round(Clock::time_point now);
    void note_signal(int number);

    ProcessTree& tree_;
    StopPlan plan_;
    std::size_t next_step_ = 0;
    std::optional<Clock::time_point> due_;
    std::optional<Clock::time_point> hard_at_;
    struct Asked {
        std::uint64_t start_time = 0;
        bool may_answer = false;  // by the handlers that it had when it was asked, or has since
    };
    // Of the step that was taken last: its signal, its end, whom it has asked by pid, and how soon after a
    // death it looks again.
    int signal_ = 0;
    Clock::time_point step_ends_;
    std::unordered_map<pid_t, Asked> asked_;
    std::chrono::milliseconds until_look_{};
    // Of the hard way.
    std::chrono::milliseconds until_round_{2};
    int rounds_with_refusals_only_ = 0;
    std::vector<int> signals_;
    std::vector<pid_t> survivors_;
};

}  // namespace cancelable
