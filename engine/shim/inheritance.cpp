#include "engine/shim/inheritance.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace cancelable {

// A call that fails leaves what is there from the start, and does so the next time as well.
Inheritance Inheritance::of_this_process() noexcept {
    constexpr int kOfProcess = 1;  // IOPRIO_WHO_PROCESS
    Inheritance found;
    found.nice = ::getpriority(PRIO_PROCESS, 0);
    found.scheduler = ::sched_getscheduler(0);
    found.io_priority = static_cast<int>(::syscall(SYS_ioprio_get, kOfProcess, 0));
    ::sched_getaffinity(0, sizeof found.processors, &found.processors);
    for (std::size_t i = 0; i < found.limits.size(); ++i)
        ::prlimit(0, static_cast<__rlimit_resource>(i), nullptr, &found.limits[i]);
    return found;
}

std::vector<ResourceLimit> Inheritance::limits_to_set(std::span<const ResourceLimit> wanted) const {
    std::vector<ResourceLimit> differing;
    for (const ResourceLimit& limit : wanted) {
        const auto number = static_cast<std::size_t>(limit.resource);
        const bool is_ours = number < limits.size() && limit.soft == limits[number].rlim_cur &&
                             limit.hard == limits[number].rlim_max;
        if (!is_ours) differing.push_back(limit);
    }
    return differing;
}

bool operator==(const Inheritance& left, const Inheritance& right) noexcept {
    return left.nice == right.nice && left.scheduler == right.scheduler &&
           left.io_priority == right.io_priority && CPU_EQUAL(&left.processors, &right.processors) &&
           std::ranges::equal(left.limits, right.limits, [](const rlimit& one, const rlimit& other) {
               return one.rlim_cur == other.rlim_cur && one.rlim_max == other.rlim_max;
           });
}

}  // namespace cancelable
