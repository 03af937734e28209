#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "cli/globals.h"
#include "cli/render/operations.h"
#include "engine/operation.h"
#include "engine/process/error.h"

namespace cancelable::cli {

// Prints JSON as programs read it; 0, or an exit status where that failed.
[[nodiscard]] int print_json(const nlohmann::json& json);

// For the standard output, coloured as flags, environment and configuration say.
View view_of(const Globals& globals);

// The operations of an answer, in order.
Result<std::vector<Operation>> decode_operations(const nlohmann::json& answer);

}  // namespace cancelable::cli
