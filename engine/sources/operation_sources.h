#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/registry.h"
#include "engine/side_command.h"

namespace cancelable {

// The sources of cancelation of all live operations: built from their descriptions when they start, also for
// adopted ones, and attached to their tokens.
//
// What a shim keeps itself (a timeout, a deadline, the lifeline) is not kept here as well, unless it is a
// member of all(…). Loop thread only.
class OperationSources {
public:
    using Warn = std::function<void(const std::string&)>;
    OperationSources(Loop& loop, Registry& registry, SideCommands& commands, Warn warn);
    ~OperationSources();
    OperationSources(const OperationSources&) = delete;
    OperationSources& operator=(const OperationSources&) = delete;

    // An operation that was accepted or adopted. Nothing is watched before it runs. `environment` is for its
    // conditions; `shim` 0 where it is not known: then its use of the machine cannot be told.
    void add(const OperationSpec& spec, const std::vector<std::string>& environment, pid_t shim);

    // To be told of every change: what starts is watched, what ends or is being ended is not any more.
    void follow(const Operation& operation);

    // Events that are sources: a signal sent to the operation by way of the supervisor, and its client's end.
    void signalled(OperationId id, int number);
    void disconnected(OperationId id);

private:
    struct Room;
    struct Entry;
    void watch(Entry& entry, const Operation& operation);
    void parent_ended(OperationId parent);

    std::unique_ptr<Room> room_;
    Registry& registry_;
    std::map<OperationId, std::unique_ptr<Entry>> entries_;
    std::map<OperationId, std::vector<OperationId>> waiting_for_parent_;
};

}  // namespace cancelable
