#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable::cli {

// The lock of a runtime directory: held by its supervisor for as long as it lives, however it ends. The file
// holds the supervisor's pid and is never removed: who had opened it a moment before would hold a lock on
// nothing.
class SupervisorLock {
public:
    // Nothing where another supervisor holds it.
    static Result<std::optional<SupervisorLock>> take(const std::string& runtime_directory);

    // Who holds it, for people to read; 0 where that is not known.
    static pid_t holder(const std::string& runtime_directory) noexcept;

private:
    explicit SupervisorLock(UniqueFd file) : file_(std::move(file)) {}
    UniqueFd file_;
};

}  // namespace cancelable::cli
