// The channel between supervisor and shim: a SOCK_SEQPACKET socket, one message a packet.
//
// The supervisor that launches a shim hands it one end of a pair. A supervisor that comes later connects to
// the listening socket `<id>.channel` that the shim inherited; the newest connection is the one that counts.
//
//   supervisor → shim    cancel, signal, release, shield, pause, resume, assign
//   shim → supervisor    report
//
// A report is the whole truth about the operation, never a difference to an earlier one, so one that got lost
// with a supervisor is made good by the next. Once `over` is reported, the shim waits to be released; if
// nobody is there to do it, it leaves the report as `<id>.exit` in the runtime directory.
//
// A shim that can be used again says so in its last report (`can_stay`). Its next operation can be assigned
// at once, which releases it from the one before; or it is released with `stay`, and waits on the same
// channel until it is assigned one, or until the channel closes. It keeps its listening socket, whose name is
// `<pid>.idle` meanwhile.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "engine/process/fd.h"
#include "engine/process/reason.h"
#include "engine/shim/spec.h"
#include "engine/shim/stop_plan.h"

namespace cancelable {

// Descriptors that a shim is born with. Those behind the channel are its first assignment; later ones come
// through the channel. The shim of a command that is no operation has no listener and no directory.
struct ShimDescriptors {
    static constexpr int kChannel = 3;
    static constexpr int kListener = 4;   // missing, where there is a directory: the one it has kept
    static constexpr int kSpec = 5;       // the memfd with encode(spec, launch); missing: it came as bytes
    static constexpr int kDirectory = 6;  // where <id>.channel and <id>.exit are
    static constexpr int kCwd = 7;        // may be missing: then it is what the description names
    static constexpr int kLifeline = 8;   // may be missing
    static constexpr int kStdin = 9;      // these three are the command's; may be missing
    static constexpr int kStdout = 10;
    static constexpr int kStderr = 11;
    static constexpr int kSlots = 12;  // see slots.h; missing: the command begins at once
    static constexpr int kTurn = 13;
    static constexpr int kNextTurn = 14;

    static constexpr int kFirst = kListener;
    static constexpr int kLast = kNextTurn;
    static constexpr std::size_t kCount = kLast - kFirst + 1;
};

// What a shim is to work with; its descriptors by the numbers of ShimDescriptors.
template <class Descriptor>
struct AssignmentOf {
    std::array<Descriptor, ShimDescriptors::kCount> descriptors;
    std::vector<std::byte> description{};  // encode(spec, launch); empty: it is in the memfd

    Descriptor& operator[](int number) {
        return descriptors[static_cast<std::size_t>(number - ShimDescriptors::kFirst)];
    }
    const Descriptor& operator[](int number) const {
        return descriptors[static_cast<std::size_t>(number - ShimDescriptors::kFirst)];
    }
};
using Assignment = AssignmentOf<UniqueFd>;
using BorrowedAssignment = AssignmentOf<int>;  // -1: none

inline constexpr std::size_t kMessageLimit =
    4096;  // of a cancelation's message, in bytes; longer ones are cut
inline constexpr std::size_t kPacketLimit = std::size_t{64} * 1024;

std::string channel_name(OperationId id);      // "<id>.channel"
std::string idle_channel_name(pid_t shim);     // "<pid>.idle", while it waits for its next operation
std::string exit_record_name(OperationId id);  // "<id>.exit"
std::string exit_record_draft_name(OperationId id);

enum class ShimCommandKind : std::uint8_t {
    cancel = 1,
    signal = 2,
    release = 3,
    shield = 4,
    pause = 5,
    resume = 6,
    assign = 7
};

struct ShimCommand {
    ShimCommandKind kind = ShimCommandKind::cancel;
    // cancel
    CancelationReason reason = CancelationReason::manual;
    std::string message{};
    uid_t uid = 0;
    pid_t pid = 0;
    StopPlan plan{};
    // signal, to the command itself or to its whole tree
    int signal = 0;
    std::uint32_t version = kChannelVersion;  // of who wrote it
    // shield: the packet brings a descriptor, which is held as long as the shield lasts
    std::chrono::milliseconds limit{0};  // for which a cancelation waits for it at most
    bool tree = false;
    // pause, resume: which request it is, for ShimReport::pause_answered
    std::uint64_t number = 0;
    bool stay = false;                     // release: not to end, but to wait for the next operation
    std::uint64_t given = 0;               // assign: which descriptors the packet brings, bit 0 for the first
    std::vector<std::byte> description{};  // assign: see AssignmentOf
};

struct ReportedCancelation {
    CancelationReason reason = CancelationReason::manual;
    std::string message{};
    uid_t uid = 0;
    pid_t pid = 0;
    int signal = 0;  // the first polite one of the plan; 0: none
    WallTime requested_at{};
};

struct ShimReport {
    OperationId id = 0;
    pid_t pid = 0;  // of the command; 0: it could not be started
    WallTime started_at{};
    bool started = false;
    // Why the command was not started. At exec it is the command's fault, otherwise the machine's.
    bool failed_at_exec = false;
    int failed_errno = 0;
    std::string failed_doing;

    bool has_exited = false;  // the command itself
    int wait_status = 0;      // as waitpid gives it

    std::optional<ReportedCancelation> cancelation;
    std::vector<int> signals;  // kinds sent to the tree, in order of first use
    std::uint64_t processes = 0;
    std::vector<pid_t> survivors;

    bool over = false;  // ECHILD, or what is left was to be left
    WallTime over_at{};
    std::chrono::microseconds duration{0};
    std::chrono::microseconds user_time{0};
    std::chrono::microseconds system_time{0};
    std::uint64_t max_rss_bytes = 0;
    std::uint32_t version = kChannelVersion;  // of who wrote it

    std::uint64_t shields = 0;                  // how many there are
    std::chrono::milliseconds shield_limit{0};  // the longest of theirs
    WallTime held_until{};  // when what they hold back comes at the latest; zero: nothing is

    // The shim itself, by the name that is never used twice (see ProcStat).
    pid_t shim_pid = 0;
    std::uint64_t shim_start_time = 0;

    bool disconnected = false;  // the lifeline is lost, where that alone cancels nothing
    bool paused = false;
    std::vector<pid_t> unstoppable;  // of its tree: may not be signalled, and run on
    std::uint64_t pause_answered =
        0;                  // the last request to pause or resume of this connection that is dealt with
    bool can_stay = false;  // over, without a process left, and fit to be assigned another operation
};

std::vector<std::byte> encode(const ShimCommand& command);
std::vector<std::byte> encode(const ShimReport& report);
Result<ShimCommand> decode_command(std::span<const std::byte> packet);
Result<ShimReport> decode_report(std::span<const std::byte> packet);

// One packet, without waiting. EAGAIN is an error like others here: system, EAGAIN.
// The descriptors go along, kCount at the most.
Result<> send_packet(int socket, std::span<const std::byte> packet, std::span<const int> descriptors = {});

// Gives a shim that stays its next operation. A description must not be longer than kDescriptionLimit.
inline constexpr std::size_t kDescriptionLimit = kPacketLimit - 1024;
Result<> send_assignment(int socket, const BorrowedAssignment& assignment);

struct Packet {
    std::vector<std::byte> bytes;       // empty: the other side has closed
    std::vector<UniqueFd> descriptors;  // what came along

    UniqueFd take_descriptor() noexcept {
        return descriptors.empty() ? UniqueFd() : std::move(descriptors.front());
    }
};
Result<Packet> receive_packet(int socket);

// What an `assign` has brought.
Assignment take_assignment(ShimCommand command, Packet packet);

// `<id>.exit`: the operation's description without its environment, and the last report. It appears whole or
// not at all.
// A supervisor leaves one too for what is lost; it says why.
Result<> write_exit_record(int directory, const OperationSpec& spec, const ShimReport& report,
                           std::string_view why_lost = {});

struct ExitRecord {
    OperationSpec spec;
    ShimReport report;
    std::string why_lost;  // empty: it is not, and the report is the shim's last one
};
// ENOENT where there is none; whatever else is the matter with it, that is an error and no more.
Result<ExitRecord> read_exit_record(int directory, OperationId id);

// The whole of a small regular file. What else lies under that name, or is far too big to be a record, is an
// error: nothing that somebody left there holds up its reader.
Result<std::vector<std::byte>> read_record(int directory, const std::string& name);

}  // namespace cancelable
