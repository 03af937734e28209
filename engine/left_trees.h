#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/bridge.h"
#include "engine/shim/spec.h"

namespace cancelable {

// Ends the trees of killed shims that were no children of this process: shims of earlier supervisors, or such
// that died while there was none. Their trees have fallen to init, and are known by what the commands were
// started with: CANCELABLE_OPERATION_ID and CANCELABLE_SOCKET.
//
// /proc is read on a worker, one tree at a time. What clears its environment and has lost its parents too
// cannot be found.
class LeftTrees {
public:
    LeftTrees(LoopBridge& bridge, std::string socket_path);

    // Gets those that may not be signalled; none: nothing of the tree is left that can be found.
    using Ended = std::function<void(const std::vector<pid_t>& survivors)>;

    // Calls back on the loop, never before it returns.
    void end(OperationId id, Ended ended);

private:
    void next();

    LoopBridge& bridge_;
    std::string socket_path_;
    std::map<OperationId, Ended> waiting_;
    bool busy_ = false;
};

}  // namespace cancelable
