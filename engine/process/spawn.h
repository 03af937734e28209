#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <optional>
#include <span>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable {

struct ResourceLimit {
    int resource = 0;  // RLIMIT_…
    rlim_t soft = RLIM_INFINITY;
    rlim_t hard = RLIM_INFINITY;
};

inline constexpr int kMostTargets = 16;

// Child descriptor `target` becomes a copy of the caller's `source`; source -1 leaves it closed.
struct DescriptorMove {
    int target = -1;
    int source = -1;
};

// What a child is to be. Everything is prepared by the caller: between clone and exec nothing is allocated.
struct SpawnRequest {
    std::span<const char* const> paths;        // candidates, tried in the order of a PATH search
    const char* const* argv = nullptr;         // null-terminated
    const char* const* environment = nullptr;  // null-terminated
    std::span<const DescriptorMove>
        descriptors{};   // all others are closed; targets ascend, below kMostTargets
    int directory = -1;  // descriptor of the working directory; -1: the caller's
    bool new_session = false;
    bool ignores_nothing = false;  // the caller has all signals at their defaults: none needs to be reset
    std::optional<mode_t> umask{};
    std::optional<int> nice{};  // absolute; one that needs a privilege we lack is left as it is
    std::span<const ResourceLimit> limits{};
    bool wants_pidfd = true;
};

struct Child {
    pid_t pid = -1;
    UniqueFd pidfd;  // none where it was not wanted
};

// Where a spawn went wrong: exec failures are the command's fault (126, 127), the rest are ours.
struct SpawnFailure {
    bool at_exec = false;
    Error error;
};

// Starts a child with default signal dispositions and an empty signal mask. The child shares our memory until
// its exec (CLONE_VM | CLONE_VFORK), so the cost does not grow with the caller's size, and its errno comes
// back without a pipe. The caller's signals are blocked meanwhile. From one thread at a time, or from
// several: no shared state.
std::expected<Child, SpawnFailure> spawn(const SpawnRequest& request);

}  // namespace cancelable
