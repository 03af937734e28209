#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/loop.h"
#include "engine/side_command.h"
#include "engine/sources/source.h"

namespace cancelable {

// Where condition commands are run: a bounded number at a time, whoever has waited longest being the next.
class ConditionRoom {
public:
    // `warn` gets a sentence for the log; may be empty.
    ConditionRoom(SideCommands& commands, std::function<void(const std::string&)> warn)
        : commands_(commands), warn_(std::move(warn)) {}

    // Calls `check` as soon as there is room, perhaps at once. It takes the room; leave() gives it back.
    // Nothing is called that has been let go of.
    void enter(const std::shared_ptr<std::function<void()>>& check);
    void leave();

    // Nobody is let in any more.
    void close() noexcept { is_closed_ = true; }

    SideCommands& commands() noexcept { return commands_; }
    void warn(const std::string& sentence) const {
        if (warn_) warn_(sentence);
    }

private:
    SideCommands& commands_;
    std::function<void(const std::string&)> warn_;
    std::size_t running_ = 0;
    std::deque<std::weak_ptr<std::function<void()>>> waiting_;
    bool is_closed_ = false;
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
