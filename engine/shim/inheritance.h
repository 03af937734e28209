#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <array>
#include <span>
#include <vector>

#include "engine/process/spawn.h"

namespace cancelable {

// What a command has from its shim, and what anybody may change from outside while an operation runs
// (renice, taskset, chrt, ionice, prlimit). A shim that differs from what it was started as guards no other
// operation.
struct Inheritance {
    int nice = 0;
    int scheduler = 0;
    int io_priority = 0;
    cpu_set_t processors{};
    std::array<rlimit, RLIM_NLIMITS> limits{};

    static Inheritance of_this_process() noexcept;

    // Those that a child would not have anyway, as long as nobody has changed an idle shim from outside.
    std::vector<ResourceLimit> limits_to_set(std::span<const ResourceLimit> wanted) const;

    friend bool operator==(const Inheritance& left, const Inheritance& right) noexcept;
};

}  // namespace cancelable
