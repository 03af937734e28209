#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/event_log.h"
#include "engine/hook_call.h"
#include "engine/registry.h"
#include "engine/side_command.h"
#include "engine/transition_feed.h"

namespace cancelable {

// Runs the hooks of operations: commands that are told of a start, a cancelation and an end.
//
// They are told and not asked: nothing waits for them, and what they come to changes no operation. Those of
// one operation run one after the other, in the order of their events; eight at a time altogether.
//
// A start and a cancelation are told once, where this supervisor sees them. An end is told at least once: a
// supervisor that dies before its hook is done leaves it to the next one (see hook_file.h). Loop thread only.
class Hooks {
public:
    // `directory` is where operations have their files; borrowed. `warn` gets a sentence for the log; may be
    // empty.
    Hooks(SideCommands& commands, const Registry& registry, EventLog& events, int directory,
          std::function<void(const std::string&)> warn)
        : commands_(commands),
          registry_(registry),
          events_(events),
          directory_(directory),
          warn_(std::move(warn)) {}

    // After a change of a record, and before its shim is released. `adopting`: an earlier supervisor may have
    // seen it already, but for the end.
    void changed(const Transition& step, bool adopting);

    // Once adoption is over: runs what an earlier supervisor owed.
    void resume();

    // How many run or wait.
    std::size_t pending() const noexcept { return running_.size() + waiting_.size(); }

    // Those of an operation that came to nothing good; of the last thousand operations that had any.
    std::vector<HookFailure> failures(OperationId id) const;

private:
    void enqueue(HookCall call);
    void start_next();
    void done(OperationId id, const SideOutcome& outcome);
    void keep_failure(OperationId id, HookFailure failure);

    struct Running {
        HookCall call;
        SideCommands::Handle handle;
    };
    SideCommands& commands_;
    const Registry& registry_;
    EventLog& events_;
    int directory_;
    std::function<void(const std::string&)> warn_;
    std::deque<HookCall> waiting_;
    std::map<OperationId, Running> running_;
    std::set<OperationId> resumed_;  // whose end was told before its shim has reported it here
    std::map<OperationId, std::vector<HookFailure>> failures_;
    std::deque<OperationId> failed_;  // their keys, oldest first
};

}  // namespace cancelable
