#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/hook_call.h"
#include "engine/process/error.h"

namespace cancelable {

// `<id>.end-hook` in the runtime directory: an end hook that is owed. It is there before the operation's shim
// is released, and goes when the hook has been run, so that the next supervisor runs what a killed one has
// not. It appears whole or not at all.
Result<> write_owed_hook(int directory, const HookCall& call);

// All of them, in order of ids. What cannot be read is told to `warn` and taken away: it would be found for
// ever.
std::vector<HookCall> find_owed_hooks(int directory, const std::function<void(const std::string&)>& warn);

void forget_owed_hook(int directory, OperationId id) noexcept;

std::vector<std::byte> encode(const HookCall& call);
Result<HookCall> decode_hook_call(std::span<const std::byte> bytes);

}  // namespace cancelable
