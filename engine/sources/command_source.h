#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/loop.h"
#include "engine/side_command.h"
#include "engine/sources/source.h"

namespace cancelable {

// What condition commands have in common.
struct ConditionRoom {
    SideCommands& commands;
    std::function<void(const std::string&)> warn;  // gets a sentence for the log; may be empty
    std::size_t running = 0;                       // of all operations: a bounded number at a time
};

struct Condition {
    std::string command;  // for /bin/sh -c
    std::chrono::milliseconds every{5000};
    std::vector<std::string> environment;
    std::string cwd;
    std::string whose;  // starts a sentence of the log: "operation 12"
};

// A level: the command exits with 0. It is run again so long after its last end, so never two at once, and
// for at most ten seconds. One that cannot be run, or takes too long, does not hold; the log says so once.
SourcePtr command_source(Loop& loop, ConditionRoom& room, Condition condition);

}  // namespace cancelable
