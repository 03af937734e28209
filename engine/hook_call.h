#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/side_command.h"

namespace cancelable {

// One hook that is to be run, with all that it needs to know: the operation may have been forgotten by then.
struct HookCall {
    OperationId id = 0;
    HookEvent event{};
    std::string command;  // for /bin/sh -c
    std::chrono::milliseconds time_limit{0};
    std::vector<std::string> facts;  // CANCELABLE_HOOK_…=VALUE
};

// What the operation wants to be run at this moment, with the facts as its record has them; nothing where it
// wants nothing.
std::optional<HookCall> hook_call(HookEvent event, const Operation& operation);

// The facts as variables. Every one is there, empty where nothing is known; those of tags where there is
// room: a value has at most 16 KiB, and all of them together 256 KiB, so that the hook can always be started.
std::vector<std::string> hook_facts(HookEvent event, const Operation& operation);

// As a side command, in the supervisor's environment without what is meant for cancelable itself. It starts
// in "/" and goes to the operation's directory by itself, so that a directory that hangs holds up nobody
// else.
SideRequest hook_request(const HookCall& call, std::span<const std::string> environment);

// This process's.
std::vector<std::string> own_environment();

}  // namespace cancelable
