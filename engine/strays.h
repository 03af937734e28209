#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <vector>

#include "engine/loop.h"
#include "engine/process/tree.h"
#include "engine/shim/cancel_tree.h"

namespace cancelable {

// Ends what falls to the supervisor when a shim is killed: as the next subreaper above, it inherits the
// shim's tree.
//
// A stray is a child of this process that is no shim of its own, and everything below it. Strays of several
// shims that die together cannot be told apart, and need not be: all are ended. Loop thread only.
class Strays {
public:
    // `is_own` tells which children are to be left alone: live shims.
    Strays(Loop& loop, std::function<bool(pid_t)> is_own);

    // Gets those that may not be signalled; none: all strays are gone.
    using Ended = std::function<void(const std::vector<pid_t>& survivors)>;

    // Ends all strays, the hard way and at once. Calls back when two passes in a row have found none, or none
    // that may be signalled.
    void end(Ended ended);

private:
    void round();
    void reap();

    ProcessTree tree_;
    std::unique_ptr<TreeCanceller> canceller_;
    Timer timer_;
    int empty_passes_ = 0;
    std::vector<Ended> waiting_;
};

}  // namespace cancelable
