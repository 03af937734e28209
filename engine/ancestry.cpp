#include "engine/ancestry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "engine/process/pidfd.h"
#include "engine/process/proc.h"

namespace cancelable {
namespace {

// Each pair of looks that differ has seen somebody above the process die, and none of those come back. More
// than so many deaths are somebody's play.
constexpr int kLooks = 64;

// Deeper than any tree that still can fork.
constexpr std::size_t kDeepest = 4096;

struct Link {
    pid_t pid;
    pid_t parent;
    std::uint64_t start_time;
    friend bool operator==(const Link&, const Link&) = default;
};

// Up to and including the first for which `is_top`, or whose parent cannot be looked at.
template <class IsTop>
std::vector<Link> climb(pid_t pid, IsTop is_top) {
    std::vector<Link> chain;
    while (pid > 1 && chain.size() < kDeepest) {
        const auto stat = read_stat(pid);
        if (!stat) break;
        chain.push_back({pid, stat->parent, stat->start_time});
        if (is_top(chain.back())) break;
        pid = stat->parent;
    }
    return chain;
}

bool still_holds(const std::vector<Link>& chain) {
    return std::ranges::all_of(chain, [](const Link& link) {
        const auto stat = read_stat(link.pid);
        return stat && link == Link{link.pid, stat->parent, stat->start_time};
    });
}

}  // namespace

void Ancestry::add(OperationId id, pid_t shim, std::uint64_t start_time) {
    remove(id);
    shims_[shim] = {id, start_time};
    pids_[id] = shim;
}

void Ancestry::remove(OperationId id) {
    const auto known = pids_.find(id);
    if (known == pids_.end()) return;
    // The number may be another operation's by now, where nobody told of this one's end.
    if (const auto shim = shims_.find(known->second); shim != shims_.end() && shim->second.id == id)
        shims_.erase(shim);
    pids_.erase(known);
}

Result<OperationId> Ancestry::operation_of(pid_t pid, int pidfd) const {
    const auto shim_at = [this](const Link& link) {
        const auto found = shims_.find(link.pid);
        const bool is_it = found != shims_.end() &&
                           (found->second.start_time == 0 || found->second.start_time == link.start_time);
        return is_it ? found->second.id : 0;
    };
    const pid_t self = ::getpid();
    for (int look = 0; look < kLooks; ++look) {
        const auto chain =
            climb(pid, [&](const Link& link) { return link.pid == self || shim_at(link) != 0; });
        const bool holds = still_holds(chain);
        // Last, so that all that was read of the number was read of this process.
        if (is_reaped(pidfd)) return failure(ErrorCode::not_found, "the process that asks is gone");
        if (holds) return chain.empty() ? 0 : shim_at(chain.back());
    }
    return failure(ErrorCode::refused, "the processes above the one that asks change all the time");
}

}  // namespace cancelable
