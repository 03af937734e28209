#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "engine/process/fd.h"
#include "engine/shim/channel.h"
#include "engine/shim/inheritance.h"
#include "engine/shim/title.h"

namespace cancelable {

// What a shim's process is and has, whichever operation it guards.
struct ShimSelf {
    Title title;
    UniqueFd channel{};   // to the supervisor; none: there is nobody at the other end
    UniqueFd listener{};  // of the operation before, for the next one
    UniqueFd signals{};   // a signalfd for whatever is sent to the shim
    pid_t pid = 0;
    std::uint64_t start_time = 0;
    Inheritance inheritance{};

    // Ready to guard: a subreaper, every signal blocked.
    Result<> set_up();
};

// The process of cancelable-shim: guards one operation, and as long as its supervisor keeps it, the next
// ones. Between two it has no child, no file and nothing of the operation before but its listening socket.
class ShimProcess {
public:
    ShimProcess(int argc, char** argv) noexcept : self_{.title = Title(argc, argv)} {}

    // Returns the status to exit with.
    int run();

private:
    // None: the supervisor has no more use for this process, or is gone.
    std::optional<Assignment> await_assignment();

    ShimSelf self_;
};

}  // namespace cancelable
