#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/process/error.h"
#include "engine/process/fd.h"
#include "engine/shim/spec.h"

namespace cancelable::cli {

// Opens /dev/null in place of those of the descriptors 0 to 2 that are closed, so that nothing opened later
// lands there, and says which they were: bit n for descriptor n. To be called before anything else is opened.
unsigned fill_closed_stdio() noexcept;

// What a command would have inherited from this process, but for the environment: umask, niceness and all
// resource limits.
LaunchSettings caller_settings();

// The environment of this process with some variables set on top.
using Variables = std::vector<std::pair<std::string, std::string>>;
std::vector<std::string> environment_with(const Variables& on_top);

// As operation.run takes it for a descriptor: each variable with a zero byte behind it.
Result<UniqueFd> in_memory(const std::vector<std::string>& environment);

struct WorkingDirectory {
    UniqueFd fd;       // O_PATH: enough to start a command in, and permitted where reading is not
    std::string text;  // absolute, for people; ends in " (deleted)" where it is
};

// `path` empty: the directory of this process, even where it has been deleted.
Result<WorkingDirectory> open_working_directory(const std::string& path);

// The operation that this process is part of, as its environment says: 0 where in none, or in one of another
// socket.
OperationId surrounding_operation(const std::string& socket_path) noexcept;

// True below a command that the supervisor of this socket runs for itself: a condition or a hook. A
// supervisor started there would end with it.
bool runs_for_supervisor(const std::string& socket_path) noexcept;

// True where a command must not get this process's standard input: it is a terminal whose foreground job is
// another. The command is in a session of its own, so the kernel would not stop it for reading there.
bool stdin_is_somebody_elses() noexcept;

}  // namespace cancelable::cli
