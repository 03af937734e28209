#include "engine/left_trees.h"

#include <utility>

#include "engine/process/marked.h"

namespace cancelable {

LeftTrees::LeftTrees(LoopBridge& bridge, std::string socket_path)
    : bridge_(bridge), socket_path_(std::move(socket_path)) {}

void LeftTrees::end(OperationId id, Ended ended) {
    waiting_.insert_or_assign(id, std::move(ended));
    next();
}

void LeftTrees::next() {
    if (busy_ || waiting_.empty()) return;
    busy_ = true;
    auto entry = waiting_.extract(waiting_.begin());
    bridge_.run_in_thread(
        [marks = MarkedProcesses::Marks{"CANCELABLE_OPERATION_ID=" + std::to_string(entry.key()),
                                        "CANCELABLE_SOCKET=" + socket_path_}](const CancelationToken& stop) {
            return end_marked(marks, [&] { return !stop.is_cancelled(); });
        },
        CancelationToken(),
        [this, ended = std::move(entry.mapped())](const Outcome<std::vector<pid_t>>& survivors) {
            busy_ = false;
            // A supervisor that leaves has not finished, and the next one begins anew.
            if (survivors) ended(*survivors);
            next();
        });
}

}  // namespace cancelable
