#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/launcher.h"
#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/shim/channel.h"
#include "engine/strays.h"

namespace cancelable {

// What to run on the supervisor's own behalf: a condition to check, a hook.
struct SideRequest {
    std::vector<std::string> command;
    std::string name;                      // for who reads a process list
    std::vector<std::string> environment;  // KEY=VALUE, complete but for what SideCommands adds
    std::string cwd = "/";                 // absolute; opened by the shim, so that nobody else waits for it
    std::chrono::milliseconds time_limit{10'000};
    std::chrono::milliseconds grace{1000};  // from SIGTERM to SIGKILL
    std::size_t capture = 0;  // so many bytes of stdout and stderr are kept; 0: they go to /dev/null
};

struct SideOutcome {
    enum class Kind : std::uint8_t {
        exited,       // by itself: `exit` says how
        timed_out,    // it was ended
        not_started,  // `error` says why
        stopped,      // somebody else ended it, by its shim
    };
    Kind kind = Kind::exited;
    Exit exit{};
    std::string error{};
    std::string output{};
    bool output_was_cut = false;

    bool succeeded() const noexcept { return kind == Kind::exited && exit == Exit{}; }

    // How it went, as the end of a sentence: "exited with 3", "took longer than 10s".
    std::string clause(std::chrono::milliseconds time_limit) const;
};

// Runs commands for the supervisor, each under a shim of its own: when it is over, all that it started is
// gone.
//
// They are no operations: they have no id, leave no files, and cannot be adopted. They end with the
// supervisor, however that ends: each shim watches a pipe that the supervisor holds. Their environment does
// not make them part of any operation, and tells clients below them not to start a supervisor there
// (CANCELABLE_SIDE_COMMAND). Output never makes a command wait, and a flood costs next to nothing. Loop
// thread only.
class SideCommands {
    struct Entry;

public:
    // The supervisor's `socket_path` is told to the commands. What a killed shim leaves is ended by
    // `strays`, which must leave alone what owns() is true for.
    SideCommands(Loop& loop, Launcher& launcher, Strays& strays, std::string socket_path);

    // Ends those that still run.
    ~SideCommands();
    SideCommands(const SideCommands&) = delete;
    SideCommands& operator=(const SideCommands&) = delete;

    // A command that runs. Letting go of it ends the command, hard and at once, and it is not called back.
    class [[nodiscard]] Handle {
    public:
        Handle() noexcept = default;
        ~Handle();
        Handle(Handle&& other) noexcept;
        Handle& operator=(Handle&& other) noexcept;

    private:
        friend class SideCommands;
        explicit Handle(std::weak_ptr<Entry> entry) noexcept : entry_(std::move(entry)) {}
        std::weak_ptr<Entry> entry_;
    };

    // `done` is called once, from the loop and not from in here: when the command and all that it started
    // are gone, or are past being ended by us. The handle may be destroyed in it.
    using Done = std::function<void(SideOutcome)>;
    Handle start(SideRequest request, Done done);

    // True for the shims of side commands, which are children of this process.
    bool owns(pid_t pid) const noexcept { return by_shim_.contains(pid); }

    // How many have not been called back yet.
    std::size_t running() const noexcept;

private:
    void launch(const std::shared_ptr<Entry>& entry);
    void reported(Entry& entry, const ShimReport& report);
    void shim_gone(std::shared_ptr<Entry> entry);
    static void finish(Entry& entry, SideOutcome outcome);
    static void read_output(Entry& entry);
    static void abandon(Entry& entry);

    Loop& loop_;
    Launcher& launcher_;
    Strays& strays_;
    std::string socket_path_;
    std::unordered_map<Entry*, std::shared_ptr<Entry>> entries_;  // until their shim is reaped
    std::unordered_map<pid_t, Entry*> by_shim_;
};

}  // namespace cancelable
