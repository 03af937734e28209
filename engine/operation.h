// States of an operation.
//
//   from \ to    running  paused  cancelling  completed  failed  cancelled  timeout  lost
//   pending         x                 x                     x        x         x       x
//   running                  x        x           x         x        x         x       x
//   paused          x                 x           x         x        x         x       x
//   cancelling                                              .        x         x       x
//
// The five on the right are ends: nothing leaves them. A cancelation that was accepted decides the end,
// whatever the command's exit status turns out to be, so `cancelling` never becomes `completed` or `failed`.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/reason.h"
#include "engine/shim/spec.h"

namespace cancelable {

enum class Status : std::uint8_t {
    pending,
    running,
    paused,
    cancelling,
    completed,
    failed,
    cancelled,
    timeout,
    lost,
};

inline constexpr std::array kAllStatuses{Status::pending,    Status::running,   Status::paused,
                                         Status::cancelling, Status::completed, Status::failed,
                                         Status::cancelled,  Status::timeout,   Status::lost};

std::string_view to_string(Status status) noexcept;
std::optional<Status> parse_status(std::string_view name) noexcept;

// An ended operation never changes again.
constexpr bool is_ended(Status status) noexcept {
    return status >= Status::completed;
}

// The table above. A step from a state to itself is none.
bool may_become(Status from, Status to) noexcept;

// How the command itself ended: by exit(code), or by a signal.
struct Exit {
    bool by_signal = false;
    int value = 0;  // exit code or signal number

    // As a shell reports it: the code, or 128 + signal.
    int shell_status() const noexcept { return by_signal ? 128 + value : value; }
    friend bool operator==(const Exit&, const Exit&) = default;
};

// Who asked: the peer of the connection, or 0/0 where the engine itself did.
struct Requester {
    uid_t uid = 0;
    pid_t pid = 0;
    friend bool operator==(const Requester&, const Requester&) = default;
};

// A cancelation, from the request to the proof.
struct Cancelation {
    CancelationReason reason = CancelationReason::manual;
    std::string message;
    Requester by;
    int signal = 0;  // the polite signal that was decided on; 0: none, straight to SIGKILL
    WallTime requested_at{};
    std::optional<WallTime> gone_at;
    std::vector<int> signals;      // each kind that was sent, in order of first use
    std::uint64_t processes = 0;   // how many different processes were signalled
    std::vector<pid_t> survivors;  // alive, and may not be signalled by us

    // True where the hard way was needed.
    bool escalated() const noexcept;
};

// Of the whole tree, as far as the kernel charges it to the shim.
struct Usage {
    std::chrono::microseconds user{0};
    std::chrono::microseconds system{0};
    std::uint64_t max_rss_bytes = 0;
};

// How far an operation says it is.
struct Progress {
    double fraction = 0;  // of all there is to do: 0 to 1
    std::string text;
    WallTime at{};
};

// That cancelations of an operation are held back at present.
struct Shielded {
    std::size_t count = 0;               // how many shields there are
    std::chrono::milliseconds limit{0};  // the longest of theirs
    std::optional<WallTime> until;       // where one is held back: when it comes at the latest
    friend bool operator==(const Shielded&, const Shielded&) = default;
};

// What a hook can be told of.
enum class HookEvent : std::uint8_t { start, cancel, end };

std::string_view to_string(HookEvent event) noexcept;
std::optional<HookEvent> parse_hook_event(std::string_view name) noexcept;

// A hook that came to nothing good.
struct HookFailure {
    HookEvent event{};
    std::optional<Exit> exit{};  // not 0; or else
    std::string error{};         // why there is none, as the end of a sentence
    WallTime at{};
};

// One operation's record. A published record is immutable (see Snapshot); what never changes is shared by its
// copies.
struct Operation {
    std::shared_ptr<const OperationSpec> spec;
    Status status = Status::pending;
    std::optional<pid_t> pid;  // of the command, while it runs
    std::optional<WallTime> started_at;
    std::optional<WallTime> ended_at;
    std::optional<std::chrono::microseconds> duration;  // monotonic; known once ended
    std::optional<Exit> exit;
    std::string error;  // why it could not be started or was lost; empty otherwise
    std::shared_ptr<const Cancelation> cancelation;
    std::optional<Usage> usage;
    std::optional<Shielded> shielded;
    std::shared_ptr<const Progress> progress;   // null: it has said nothing
    std::shared_ptr<const std::string> result;  // what it has left for others to read; null: nothing
    std::vector<pid_t> unstoppable;             // while it is paused: may not be signalled, and run on
    // Kept beside the record, which may have ended by then: only the answer of operation.show has them.
    std::vector<HookFailure> hook_failures{};

    OperationId id() const noexcept { return spec->id; }
};

using Snapshot = std::shared_ptr<const Operation>;

}  // namespace cancelable
