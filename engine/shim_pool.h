#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "engine/loop.h"
#include "engine/process/spawn.h"

namespace cancelable {

// How long a supervisor that leaves waits for shims that it has told to end, all together.
inline constexpr std::chrono::seconds kPartingPatience{1};

// A shim's process and our end of its channel.
struct LaunchedShim {
    Child process;
    UniqueFd channel;
    std::unique_ptr<Watch> watch{};  // of the channel, to be handed over; none for a new shim
    std::string listens_at{};        // a name in the directory of channels; empty: nobody can find it
    // By its last operation, which is over; since when.
    std::optional<std::chrono::steady_clock::time_point> held_since{};
};

// Shims without an operation, kept for the next ones: to start a program costs more than to guard one. Two
// stay for good, so that there is one when somebody starts a command by hand; what more there are goes once a
// second has shown that it was not needed.
//
// A shim comes held by the operation before. The next one would release it, without a message of its own, so
// it is not released before it has waited a moment for that.
class ShimPool {
public:
    // `directory` is where shims can be found by their names; borrowed.
    ShimPool(Loop& loop, int directory);

    // Has them end, and waits for that, a second at most.
    ~ShimPool();

    // One that has no operation, or whose operation is over and safe.
    void put(LaunchedShim shim);

    // Whether it still lives is seen when it is sent something.
    std::optional<LaunchedShim> take();

    // Ends one that is of no use, and reaps it.
    void end(LaunchedShim shim);

    // Where it is to be found from now on. False where it listens nowhere, or can be found nowhere any more.
    [[nodiscard]] bool rename(LaunchedShim& shim, std::string name) const;
    void take_name_off(LaunchedShim& shim) const noexcept;

    bool owns(pid_t pid) const noexcept;

private:
    struct Leaving {
        Child process;
        std::unique_ptr<Watch> death;  // reaps it
    };

    void release_held();
    void trim();

    Loop& loop_;
    int directory_;
    std::list<LaunchedShim> idle_;  // the last one is the next to be taken: its memory is warm
    std::list<Leaving> leaving_;
    std::size_t spare_ = 0;  // how many were idle all the time since the last look
    Timer release_timer_;
    Timer trim_timer_;
};

}  // namespace cancelable
