#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable::cli {

// The lock of a runtime directory: held by its supervisor for as long as it lives, however it ends. It is the
// directory itself that is locked, since a file in it may be removed by somebody, and another one would then
// be locked by the next. The file `lock` is locked beside it, for versions of the program that know of
// nothing else, and holds the supervisor's pid.
class SupervisorLock {
public:
    // Nothing where another supervisor holds it.
    static Result<std::optional<SupervisorLock>> take(const std::string& runtime_directory);

    // Who holds it, for people to read; 0 where that is not known.
    static pid_t holder(const std::string& runtime_directory) noexcept;

private:
    SupervisorLock(UniqueFd directory, UniqueFd file)
        : directory_(std::move(directory)), file_(std::move(file)) {}
    UniqueFd directory_;
    UniqueFd file_;
};

}  // namespace cancelable::cli
