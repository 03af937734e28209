#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/event_log.h"
#include "engine/history.h"
#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/process/fd.h"
#include "engine/registry.h"
#include "engine/retention.h"
#include "engine/selector.h"

namespace cancelable {

// Everything that a new operation needs. `spec.id` and `spec.created_at` are given by the supervisor.
struct RunRequest {
    OperationSpec spec;
    LaunchSettings launch;
    bool want_log = false;          // stdout and stderr go to a log of the supervisor's
    std::array<UniqueFd, 3> stdio;  // none: /dev/null, or the log
    UniqueFd cwd;                   // a directory; O_PATH will do
    UniqueFd lifeline;  // the read end of a pipe: when its other end is closed, the operation is cancelled
    // See engine/shim/slots.h: the operation is pending until it has a slot; none: it needs none.
    UniqueFd slots;
    UniqueFd turn;
    UniqueFd next_turn;
};

// How to end operations. The first request for an operation decides reason, message and signal; a later one
// can only hurry it.
struct CancelRequest {
    CancelationReason reason = CancelationReason::manual;
    std::string message{};
    Requester by{};
    std::optional<int> signal{};                       // the polite one; default: the operation's own
    std::optional<std::chrono::milliseconds> grace{};  // default: the operation's own
    bool now = false;                                  // no polite signal: SIGKILL at once
};

// The owner of all operations: launches them through shims, hears from the shims, and keeps the registry
// true.
//
// Lives on its loop's thread. Knows nothing of clients or JSON.
class Supervisor {
public:
    struct Settings {
        std::string runtime_directory;
        std::string state_directory;
        std::string shim_path;
        std::string socket_path;          // told to the commands, in CANCELABLE_SOCKET
        std::size_t history_size = 1000;  // ended operations in memory
        KeptHistory kept;                 // and in the database
        std::function<void(const std::string&)>
            warn;  // gets a sentence for the supervisor's log; may be empty
    };

    // Adopts what an earlier supervisor left in the runtime directory. Fails where that directory cannot be
    // used.
    static Result<std::unique_ptr<Supervisor>> create(Loop& loop, Settings settings);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    // Accepts and launches. A command that cannot be executed is not an error here: its operation ends as
    // failed.
    Result<Snapshot> run(RunRequest request);

    // Asks for it and returns at once the live operations that are now being ended.
    std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request);

    // The operation that a process is part of, 0 for none; see engine/ancestry.h.
    Result<OperationId> operation_of(pid_t pid, int pidfd) const;

    // A signal to the command itself, or to its whole tree: no cancelation. Returns whom it was sent to.
    std::vector<OperationId> signal(const Selector& selector, int signal_number, bool tree,
                                    const Requester& by = {});

    // Stills or continues all processes of operations and of their families. `done` gets the ids that are
    // returned, once all is done that can be: their snapshots tell. See engine/pausing.h.
    using PauseDone = std::function<void(const std::vector<OperationId>&)>;
    std::vector<OperationId> set_paused(const Selector& selector, bool paused, PauseDone done);

    // Holds cancelations of a live operation back while somebody has the other end of `holder` open, for
    // `limit` at most. Its shim answers on `holder`: its pid, or nothing where it takes no more shields.
    Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder);

    // What an operation says of itself; see Notes for the errors. Progress is thinned out, a result is safe
    // once this returns.
    Result<> progress(OperationId id, double fraction, std::string text);
    Result<> result(OperationId id, std::string bytes);

    // The hooks of an operation that failed, as far as this supervisor remembers; and how many hooks of all
    // operations have not ended yet. Those that run when the supervisor goes are ended; see Hooks.
    std::vector<HookFailure> hook_failures(OperationId id) const;
    std::size_t pending_hooks() const noexcept;

    // Calls back once, from the loop, when the operation has ended, or when all that is left of it may not be
    // signalled (then it has survivors and is not ended). At once, before returning, where that is so
    // already. The number is for forget(). An unknown id is called back with a null snapshot.
    using Settled = std::function<void(const Snapshot&)>;
    std::uint64_t when_settled(OperationId id, Settled callback);
    void forget(std::uint64_t callback_number) noexcept;

    // Calls back once the operation is known after any crash, or where nothing can see to that now.
    void when_recorded(OperationId id, std::function<void()> done);

    Registry& registry() noexcept;

    // What happens, numbered. Others may add events of their own kinds.
    EventLog& events() noexcept;
    // Null where there is no state directory.
    History* history() noexcept;

    // Called after every change of an operation, from the loop.
    void on_change(std::function<void(const Transition&)> listener);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
    explicit Supervisor(std::unique_ptr<Impl> impl);
};

}  // namespace cancelable
