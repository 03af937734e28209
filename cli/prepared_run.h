#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/config/settings.h"
#include "cli/globals.h"
#include "engine/process/fd.h"
#include "ipc/requests.h"

namespace cancelable::cli {

// A request of operation.run with the descriptors that it names, which stay open as long as this lives.
struct PreparedRun {
    ipc::RunParams params;
    std::vector<int> descriptors;
    std::vector<UniqueFd> owned;
    UniqueFd lifeline;  // our end

    void pass(const char* meaning, int fd);
    void pass(const char* meaning, UniqueFd fd);
};

enum class Requests : std::uint8_t { one, many };  // that are made of a prepared one

// With all that does not depend on how it is waited for: what a command inherits, the working directory, and
// what the settings say. Neither stdio nor a lifeline.
Result<PreparedRun> prepare_run(const Globals& globals, const RunSettings& settings,
                                std::vector<std::string> command, Requests requests);

// A pipe that hangs up when this process is gone, where the settings want one.
Result<> pass_lifeline(PreparedRun& prepared, const RunSettings& settings);

// For OperationSpec::key: unlike any other.
std::string random_key();

}  // namespace cancelable::cli
