#include "engine/ancestry.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "engine/process/pidfd.h"
#include "engine/process/proc.h"

namespace cancelable {
namespace {

// Each pair of looks that differ has seen somebody above the process die, and none of those come back. More
// than so many deaths are somebody's play.
constexpr int kLooks = 64;

// Deeper than any tree that still can fork.
constexpr std::size_t kDeepest = 4096;

}  // namespace

void Ancestry::add(OperationId id, pid_t shim, std::uint64_t start_time) {
    remove(id);
    // Above whom it was before we knew what it is: they were remembered with it.
    if (outside_.contains(shim)) outside_.clear();
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

Result<OperationId> Ancestry::operation_of(pid_t pid, int pidfd) {
    if (has_outside_parent(pid, pidfd) && !is_reaped(pidfd)) return 0;
    for (int look = 0; look < kLooks; ++look) {
        const std::vector<Link> chain = climb(pid);
        const bool is_known = !chain.empty() && is_outside(chain.back());
        // One that is known has lived since long before this climb: whose parent it was said to be, that was
        // its child then, and needs no second look.
        const std::size_t unproved = is_known ? std::max<std::size_t>(chain.size(), 2) - 2 : chain.size();
        const bool holds = still_holds(std::span(chain).first(unproved));
        // Last, so that all that was read of the number was read of this process.
        if (is_reaped(pidfd)) return failure(ErrorCode::not_found, "the process that asks is gone");
        if (!holds) continue;
        const OperationId id = chain.empty() ? 0 : shim_at(chain.back());
        if (id == 0 && unproved > 0) remember_outside(chain);
        return id;
    }
    return failure(ErrorCode::refused, "the processes above the one that asks change all the time");
}

// As most have: the shell, say, that starts one client after the other. The kernel tells it without its /proc
// of the process, which it would have to take down again when the process ends.
bool Ancestry::has_outside_parent(pid_t pid, int pidfd) const {
    if (shims_.contains(pid) || outside_.contains(pid)) return false;
    const auto parent = pidfd_parent(pidfd);
    if (!parent || !outside_.contains(*parent)) return false;
    const auto stat = read_stat(*parent);
    return stat && is_outside({*parent, stat->parent, stat->start_time});
}

// Up to and including the first who settles it, or whose parent cannot be looked at.
std::vector<Ancestry::Link> Ancestry::climb(pid_t pid) const {
    const pid_t self = ::getpid();
    std::vector<Link> chain;
    while (pid > 1 && chain.size() < kDeepest) {
        const auto stat = read_stat(pid);
        if (!stat) break;
        const Link link{pid, stat->parent, stat->start_time};
        chain.push_back(link);
        if (pid == self || shim_at(link) != 0 || is_outside(link)) break;
        pid = stat->parent;
    }
    return chain;
}

bool Ancestry::still_holds(std::span<const Link> chain) {
    return std::ranges::all_of(chain, [](const Link& link) {
        const auto stat = read_stat(link.pid);
        return stat && link == Link{link.pid, stat->parent, stat->start_time};
    });
}

OperationId Ancestry::shim_at(const Link& link) const {
    const auto found = shims_.find(link.pid);
    if (found == shims_.end()) return 0;
    const Shim& shim = found->second;
    return shim.start_time == 0 || shim.start_time == link.start_time ? shim.id : 0;
}

bool Ancestry::is_outside(const Link& link) const {
    const auto found = outside_.find(link.pid);
    return found != outside_.end() && found->second == link.start_time && shim_at(link) == 0;
}

void Ancestry::remember_outside(std::span<const Link> chain) {
    // Who hides now may be seen later.
    const Link& top = chain.back();
    if (top.parent > 1 && top.pid != ::getpid() && !is_outside(top)) return;
    // Nobody is remembered without all who are above, so that add() finds whom it has to forget.
    if (outside_.size() + chain.size() > remembered_) return outside_.clear();
    for (const Link& link : chain)
        outside_[link.pid] = link.start_time;
}

}  // namespace cancelable
