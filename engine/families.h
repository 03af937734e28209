#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/registry.h"
#include "engine/shim/channel.h"

namespace cancelable {

// What an operation's end means to its children, and its children to its end.
//
// The processes of a child are below a shim of its own, so an operation may be over, with nothing left of its
// own tree, before its children are. It is then held: it ends, and is told to have ended, once they have
// ended too. So whoever waits for an operation, or cancels it, waits for the whole family.
//
// What becomes of children that are unfinished when their parent ends by itself is what its --orphans says:
// kill cancels them, with the reason `parent`; wait lets the parent go on until they have ended; leave lets
// it end, and them go on without it. A cancelled parent takes them along in any case.
//
// Loop thread only. Cancelling is done inside of a call; finish() and stuck() come in the next turn of the
// loop.
class Families {
public:
    struct Actions {
        // Cancel it, with the reason `parent` and this message. It may have ended meanwhile.
        std::function<void(OperationId child, const std::string& message)> cancel;
        // Nothing holds this one any more: its report, with the time that it was held added.
        std::function<void(OperationId id, const ShimReport& report)> finish;
        // All that holds it are processes that may not be signalled.
        std::function<void(OperationId id, std::vector<pid_t> survivors)> stuck;
    };
    Families(Loop& loop, Registry& registry, Actions actions);

    // A new operation of this supervisor, or one that it adopts: cancelled at once where its parent takes its
    // children along just now, or has done so.
    void joined(const Operation& operation);

    // The shim's report on an operation that is live. True where it is over and is held: it counts as not
    // over then, and finish() gives the report back.
    bool hold(const Operation& operation, const ShimReport& report);

    // True for one that is over: its shim has nothing more to say, and may die.
    bool is_held(OperationId id) const { return held_.contains(id); }

    // An operation has settled: ended, or come to nothing but survivors.
    void settled(const Operation& operation);

private:
    struct Held {
        ShimReport report;
        std::chrono::steady_clock::time_point since;
    };
    void take_children_along(const Operation& parent, const char* what);
    void look();
    void look_at(OperationId id);

    Registry& registry_;
    Actions actions_;
    std::unordered_map<OperationId, Held> held_;
    std::unordered_set<OperationId> ending_;  // by themselves, and take their children along
    std::set<OperationId> due_;               // to be looked at, the youngest first
    Timer turn_;
};

}  // namespace cancelable
