#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>

#include "engine/loop.h"
#include "engine/process/spawn.h"

namespace cancelable {

// A shim's process and our end of its channel.
struct LaunchedShim {
    Child process;
    UniqueFd channel;
    std::unique_ptr<Watch> watch{};  // of the channel, to be handed over; none for a new shim
};

// Shims without an operation, kept for the next ones: to start a program costs more than to guard one. Two
// stay for good, so that there is one when somebody starts a command by hand; what more there are goes once a
// second has shown that it was not needed.
class ShimPool {
public:
    explicit ShimPool(Loop& loop);

    // Has them end, and waits for that, a second at most.
    ~ShimPool();

    // One that was released to stay.
    void put(LaunchedShim shim);

    // Whether it still lives is seen when it is sent something.
    std::optional<LaunchedShim> take();

    // Ends one that is of no use, and reaps it.
    void end(LaunchedShim shim);

    bool owns(pid_t pid) const noexcept;

private:
    struct Leaving {
        Child process;
        std::unique_ptr<Watch> death;  // reaps it
    };

    void trim();

    Loop& loop_;
    std::list<LaunchedShim> idle_;  // the last one is the next to be taken: its memory is warm
    std::list<Leaving> leaving_;
    std::size_t spare_ = 0;  // how many were idle all the time since the last look
    Timer timer_;
};

}  // namespace cancelable
