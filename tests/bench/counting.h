#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/stored_counts.h"

namespace cancelable::bench {

// Thrown where this machine does not let something be counted; what() says why.
struct CannotCount : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// System calls for one `run -- true`: of the client, of the supervisor's loop, and of the shim.
std::vector<Count> count_system_calls(const std::string& directory);

// Instructions for one `run -- true`: of the client, and of the supervisor's loop.
std::vector<Count> count_instructions(const std::string& directory);

// Memory for one live operation: of the supervisor, and of a shim of its own.
std::vector<Count> count_memory(const std::string& directory);

}  // namespace cancelable::bench
