#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/process/error.h"
#include "engine/process/fd.h"
#include "engine/process/spawn.h"
#include "engine/process/wall_time.h"
#include "engine/shim/version.h"

namespace cancelable {

// A small integer, growing, never used twice. 0 is no operation.
using OperationId = std::uint64_t;

// What becomes of the rest of the tree once the command itself has exited.
enum class Orphans : std::uint8_t {
    kill = 0,   // it is ended as a cancelation would end it: nothing outlives its operation
    wait = 1,   // the operation goes on until the last of them has ended by itself
    leave = 2,  // they run on, under a shim that only reaps them; the operation is over
};

using Tags = std::vector<std::pair<std::string, std::string>>;  // sorted by key, each key once

// Commands that are told of what happens to an operation, for /bin/sh -c; empty: none.
struct HookSettings {
    std::string on_start;
    std::string on_cancel;
    std::string on_end;
    std::chrono::milliseconds time_limit{30'000};  // for each of them; never 0

    bool any() const noexcept { return !on_start.empty() || !on_cancel.empty() || !on_end.empty(); }
};

// What was asked for when an operation was accepted. Never changes afterwards.
struct OperationSpec {
    OperationId id = 0;
    std::string name;
    std::vector<std::string> command;  // argv; bytes, not necessarily UTF-8
    std::string cwd;  // for people to read; the command starts in the descriptor that was passed
    Tags tags;
    OperationId parent = 0;
    bool detached = false;
    std::chrono::milliseconds timeout{0};  // 0: none
    std::chrono::milliseconds grace{10'000};
    int signal = SIGTERM;  // the polite one
    Orphans orphans = Orphans::kill;
    std::string log;  // path, or empty where nothing is logged
    std::string key;  // chosen by the client, so that it finds its operation again after a lost connection
    WallTime created_at{};
    std::vector<std::string> cancel_on;  // sources of cancelation, in their canonical form
    // What of them the shim keeps: see settle_sources().
    WallTime deadline{};                // a point of the wall clock; none: the epoch
    bool disconnect_is_member = false;  // a lost lifeline is reported, and cancels nothing by itself
    bool pause_timeouts = false;        // the timeout does not run while the operation is paused
    HookSettings hooks;
};

// How the command is to find the world: what it would have inherited, had the caller's shell started it.
struct LaunchSettings {
    std::vector<std::string> environment;  // KEY=VALUE
    mode_t umask = 022;
    int nice = 0;
    std::vector<ResourceLimit> limits;
    unsigned closed_stdio = 0;  // bit n: the caller had descriptor n closed, so the command gets it closed
};

// The two above as the one blob that a shim is started with. The shim keeps it in its memory or in a sealed
// memfd, and hands such a memfd to the supervisor that adopts it: environments are thus never on disk.
std::vector<std::byte> encode(const OperationSpec& spec, const LaunchSettings& launch);

struct DecodedSpec {
    OperationSpec spec;
    LaunchSettings launch;
    std::uint32_t version = kChannelVersion;  // of who wrote it
};

Result<DecodedSpec> decode_spec(std::span<const std::byte> blob);

// From the memfd that it came in.
Result<DecodedSpec> read_description(int memory);

// A memfd with the blob in it, which nobody can change any more.
Result<UniqueFd> make_description(std::span<const std::byte> blob);

}  // namespace cancelable
