#pragma once

#include <sys/resource.h>

#include <array>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "engine/process/fd.h"
#include "engine/process/tree.h"
#include "engine/shim/cancel_tree.h"
#include "engine/shim/channel.h"
#include "engine/shim/frugal_wait.h"
#include "engine/shim/pause_tree.h"
#include "engine/shim/shields.h"
#include "engine/shim/shim_process.h"
#include "engine/shim/slots.h"

namespace cancelable {

// One operation's guardian: starts the command, is the subreaper of everything that it starts, keeps its
// timers and its lifeline, and ends its tree. Needs no supervisor for any of that.
//
//   waiting ─► running ─► ending ─► over ─► released
//      │          └──────────────────┘
//      └─ cancelled ─────────────────┘
//
// waiting: for its slot, where it needs one; the command has not begun. A running tree can be paused:
// PauseTree is at work then. running: the command runs, or (orphans wait) others of its tree do. ending:
// TreeCanceller is at work, because of a cancelation or because the command has left orphans behind. over:
// waitpid said ECHILD, or orphans were left alone. released: the supervisor has the last report, or the exit
// record holds it.
class Shim {
public:
    // `self` is borrowed, and its channel may be replaced or closed meanwhile.
    Shim(ShimSelf& self, Assignment assignment);

    // Starts the command, or has it wait for its slot. An error: there is no operation to report on.
    Result<> start();

    // Until released and without children.
    void serve();

    // Afterwards: whether the supervisor wants to assign another operation, and that, where it has done so.
    bool stays() const noexcept { return stays_; }
    std::optional<Assignment> take_next() noexcept { return std::exchange(next_, std::nullopt); }

private:
    using Clock = TreeCanceller::Clock;

    bool wants_slot() const noexcept;
    void take_slot();
    void start_command(const LaunchSettings& launch);
    bool can_stay() const noexcept;
    void add_usage(const rusage& usage) noexcept;
    void wait_for_events();
    void reap();
    void handle_signals();
    void accept_supervisor();
    void read_channel();
    void obey(ShimCommand command, Packet packet);
    void release(bool to_stay);
    void raise_shield(UniqueFd holder, std::chrono::milliseconds limit);
    void end_tree(const StopPlan& plan);
    void check_timers();
    Result<> set_deadline();
    void lifeline_lost();
    void cancel(const ReportedCancelation& cancelation, const StopPlan& plan);
    void pause(const ShimCommand& command);
    void signal(int number, bool tree);
    void note_pause();
    void note_progress();
    void declare_over();
    void send_report(bool with_description);
    void supervisor_lost();
    bool is_finished() const noexcept;

    ShimSelf& self_;
    UniqueFd& channel_ = self_.channel;
    std::vector<std::byte> description_;  // empty: it is in the memory
    UniqueFd spec_memory_;
    UniqueFd listener_;   // none: nobody can adopt this shim
    UniqueFd directory_;  // none: it leaves no record
    UniqueFd cwd_;
    UniqueFd lifeline_;
    std::array<UniqueFd, 3> stdio_;  // of the command, until it has them
    UniqueFd deadline_;              // a timer on the wall clock; none: there is no deadline
    Slot slot_;

    OperationSpec spec_;
    std::optional<LaunchSettings> waiting_;  // of a command that has no slot yet
    ShimReport report_;
    pid_t command_ = -1;  // until it is reaped
    bool no_children_ = false;
    bool released_ = false;
    bool stays_ = false;
    std::optional<Assignment> next_;
    bool report_is_due_ = false;  // could not be sent yet: the channel was full
    Clock::time_point started_{};
    std::optional<Clock::time_point> timeout_at_;

    FrugalWait wait_;
    ProcessTree tree_;
    TreeCanceller canceller_{tree_};
    Shields shields_;

    PauseTree pausing_;
    std::uint64_t pause_asked_ = 0;                // the number of the last request of this connection
    std::optional<Clock::duration> timeout_left_;  // while paused, where the timeout does not run
};

}  // namespace cancelable
