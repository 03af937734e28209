#pragma once

#include <vector>

#include "engine/process/fd.h"
#include "engine/shim/channel.h"

namespace cancelable {

// What an earlier supervisor left in the runtime directory of one operation.
struct LeftOperation {
    OperationId id = 0;
    UniqueFd channel;                // its shim lives, and will report itself with its description
    Result<ExitRecord> exit_record;  // where there is no channel: how it ended, or why nobody knows
};

// All of them, in order of ids. What is found dead is taken off the directory, exit records are not: they go
// once their content is safe (forget_exit_record). Fails only where the directory cannot be read.
Result<std::vector<LeftOperation>> find_left_operations(int directory);

void forget_exit_record(int directory, OperationId id) noexcept;

}  // namespace cancelable
