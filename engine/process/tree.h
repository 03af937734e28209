#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/process/fd.h"
#include "engine/process/pidfd.h"
#include "engine/process/proc.h"

namespace cancelable {

// The descendants of the calling process, each held by a pidfd from the moment it was proved to be one.
//
// The proof, for a process P that is listed as a child of Q, where Q is the caller or is held already: P is
// pinned by a pidfd, then its parent is read and is Q, then Q is seen not to have been reaped. So Q's number
// was Q's all the time, and P was its child. Should P have been replaced by a stranger between listing and
// pinning, the parent read is not Q. A signal goes through the pidfd and thus reaches P or nobody.
//
// A pid of a direct child cannot be reused before the caller reaps it: callers reap on the thread that walks.
class ProcessTree {
public:
    // Direct children for which `skip` is true are left alone, with everything below them.
    explicit ProcessTree(std::function<bool(pid_t)> skip = {});

    // One pass over the tree; returns how many processes it found that were not held. Corpses are not held.
    // `held` is called for each new one as soon as it is held.
    using OnHold = std::function<void(pid_t pid, const ProcStat& stat, int pidfd)>;
    std::size_t grow(const OnHold& held = {});

    // Sends a signal to every held process, parents first. Those that may not be signalled are appended to
    // `refused`.
    void signal(int number, std::vector<pid_t>& refused);

    // The same, to those processes only for which `wanted` is true.
    void signal_if(int number, const std::function<bool(pid_t)>& wanted, std::vector<pid_t>& refused);

    // To those for which `wanted` is true, every process before its parent.
    void signal_children_first(int number,
                               const std::function<bool(pid_t pid, std::uint64_t start_time)>& wanted);

    // Lets go of all of them.
    void clear();

    std::size_t size() const noexcept { return order_.size(); }

    // How many different processes were ever held.
    std::uint64_t seen() const noexcept { return seen_; }

    // True where the last pass could not hold all that it found: deal with what is held, clear, and come
    // again.
    bool is_full() const noexcept { return full_; }

    // Of the last pass: the corpses that it found, by pid and start time; and how many processes it was told
    // of that were not there any more, or not there.
    const std::vector<std::pair<pid_t, std::uint64_t>>& corpses() const noexcept { return corpses_; }
    std::size_t missed() const noexcept { return missed_; }

    // True where one that is held has died by now.
    bool has_died() const;

    // The direct children, dead ones too, that the last pass found; without skipped ones.
    const std::vector<pid_t>& direct_children() const noexcept { return direct_; }

private:
    struct Held {
        pid_t pid;
        unsigned threads;
        std::uint64_t start_time;
        UniqueFd pidfd;
    };
    void hold(pid_t pid, pid_t parent, int parent_pidfd, const OnHold& held);

    std::function<bool(pid_t)> skip_;
    std::vector<Held> order_;                           // parents before their children
    std::unordered_map<pid_t, std::size_t> held_;       // pid → place in order_
    std::unordered_map<pid_t, std::uint64_t> counted_;  // pid → start time of the last one counted in seen_
    std::vector<pid_t> direct_;
    std::vector<pid_t> children_;  // scratch
    std::vector<std::pair<pid_t, std::uint64_t>> corpses_;
    std::size_t missed_ = 0;
    std::uint64_t seen_ = 0;
    bool full_ = false;
};

}  // namespace cancelable
