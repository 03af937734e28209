#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "engine/process/error.h"
#include "engine/shim/spec.h"

namespace cancelable {

inline constexpr std::size_t kResultLimit = std::size_t{64} * 1024;  // bytes

// `<id>.result` in the runtime directory: what a live operation has put down as its result, so that it
// outlives a killed supervisor. It appears whole or not at all, and goes once the operation's record is safe.
Result<> write_result(int directory, OperationId id, std::string_view bytes);

// Nothing where there is none, or none that can be read.
std::optional<std::string> read_result(int directory, OperationId id);

void forget_result(int directory, OperationId id) noexcept;

}  // namespace cancelable
