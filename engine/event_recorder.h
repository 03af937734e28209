#pragma once

#include <map>
#include <set>
#include <vector>

#include "engine/event_log.h"
#include "engine/shim/channel.h"
#include "engine/supervisor.h"
#include "engine/transition_feed.h"

namespace cancelable {

// Writes what the supervisor does and hears into its event log, each thing once, in the order in which it
// happened.
//
// A shim's report is the whole truth each time, so what is new in it is found by comparing: with the record
// as it was before, and with the signals that were told of already.
class EventRecorder {
public:
    explicit EventRecorder(EventLog& log) : log_(log) {}

    // After a change of a record. `report`: what the change came from, if from one.
    void changed(const Transition& step, const ShimReport* report = nullptr);

    // Before the record is changed. `hurries`: it is being cancelled already.
    void cancel_requested(const Snapshot& operation, const CancelRequest& request, const StopPlan& plan,
                          bool hurries);

    // A signal for the command itself, or for its whole tree.
    void signalled(const Snapshot& operation, int signal_number, bool tree, const Requester& by);

    // What an earlier supervisor knew is not told a second time step by step: between these two calls changes
    // of this operation are passed over, and the second tells what has come of it.
    void begin_adoption(OperationId id) { adopting_.insert(id); }
    bool is_adopting(OperationId id) const { return adopting_.contains(id); }
    void end_adoption(const Snapshot& operation, const std::vector<int>& signals_so_far = {});

private:
    void shim_cancelled(const Snapshot& operation);
    void tree_signalled(const Snapshot& operation, const std::vector<int>& signals);
    void ended(const Snapshot& operation, const Snapshot& before);

    EventLog& log_;
    std::set<OperationId> adopting_;
    std::map<OperationId, std::vector<int>> told_signals_;  // of live operations that got any
};

}  // namespace cancelable
