#pragma once

#include <sys/types.h>

#include <unordered_map>
#include <vector>

#include "engine/sources/sampling.h"

namespace cancelable {

// What a look at one process says.
struct ProcessUsage {
    pid_t pid = 0;
    pid_t parent = 0;
    bool is_corpse = false;
    std::uint64_t rss_pages = 0;
    std::uint64_t cpu_ticks = 0;  // its own and that of the children it has reaped
};

// Sums up what is below each of `shims`. Processes in a circle, as a look that is not of one moment may find
// them, belong to nobody.
std::unordered_map<pid_t, TreeUsage> sum_up(const std::vector<ProcessUsage>& processes,
                                            const std::vector<pid_t>& shims);

// One pass over /proc. It may take a while: for a worker.
std::vector<ProcessUsage> look_at_processes();

HostUsage look_at_host();

}  // namespace cancelable
