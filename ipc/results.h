// Results as JSON, field for field as the command line's --json prints them.
//
// What is shown need not be what was given: bytes that are not UTF-8 appear as U+FFFD, so encoding cannot
// fail.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/registry.h"
#include "ipc/json_writer.h"

namespace cancelable::ipc {

// `now` is for the duration of an operation that has not ended.
nlohmann::json encode_operation(const Operation& operation, WallTime now);

// Its id and status only.
JsonText encode_brief(const Operation& operation);

nlohmann::json encode_operations(const std::vector<Snapshot>& snapshots);

nlohmann::json encode_progress(const Progress& progress);

// Adds the operation's result, bytes and all: `result` is a string, {"base64": "…"} or null. Only where one
// operation is shown: a list of many would be too large.
void add_result(nlohmann::json& encoded, const Operation& operation);

// Adds the hooks that failed; only where one operation is shown, too.
void add_hook_failures(nlohmann::json& encoded, const std::vector<HookFailure>& failures);

// The way back, for clients. A live operation's `duration` is set here, as it was when the supervisor
// answered. Fields that are unknown are passed over, so that an older client reads a newer supervisor.
Result<Operation> decode_operation(const nlohmann::json& json);

Result<Progress> decode_shown_progress(const nlohmann::json& json);

// The `supervisor` part of the statistics, and supervisor.status.
struct SupervisorInfo {
    pid_t pid = 0;
    std::string version;
    int protocol = 0;
    double uptime_seconds = 0;
    std::string socket;
    std::uint64_t rss_bytes = 0;
};

nlohmann::json encode_info(const SupervisorInfo& info);
nlohmann::json encode_statistics(const Statistics& statistics, const SupervisorInfo& info);

}  // namespace cancelable::ipc
