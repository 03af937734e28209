#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "engine/shim/spec.h"

namespace cancelable {

enum class SourceKind : std::uint8_t {
    timeout,
    at,
    idle,
    rss,
    cpu,
    processes,
    host_memory,
    host_load,
    disk,
    file,
    command,
    signal,
    parent,
    disconnect,
    manual,
    any,
    all,
};

std::string_view to_string(SourceKind kind) noexcept;

// A source of cancelation as it was written, understood: `idle:60s`, `all(rss:2G,for=5s, file:stop)`.
struct SourceExpression {
    SourceKind kind = SourceKind::manual;
    std::string text;  // canonical: reads back as the same, whenever and wherever it is read

    std::chrono::milliseconds duration{0};  // timeout, idle; otherwise `for=` or `every=`
    WallTime at{};
    double number = 0;      // percent, load, processes
    bool is_below = false;  // it holds below the number, not above it
    std::uint64_t size = 0;
    std::string path;  // of a file or a disk; relative ones start at the operation's directory
    std::string command;
    int signal = 0;
    std::vector<SourceExpression> members;  // of any and all

    // True where it is of this kind, or has such a member.
    bool mentions(SourceKind wanted) const noexcept;
};

// What several sources come to, the first of them to hold being the one that counts: members of any(…) stand
// beside the others.
std::vector<SourceExpression> flatten(std::vector<SourceExpression> sources);

// Reads spec.cancel_on, and writes into the spec what the shim itself can keep: timeout, deadline, and
// whether a lost client is no more than a member of all(…). `has_log` says whether there will be a log.
Result<std::vector<SourceExpression>> settle_sources(OperationSpec& spec, bool has_log);

}  // namespace cancelable
