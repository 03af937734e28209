#include "engine/process/tree.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ranges>
#include <utility>

#include "engine/process/proc.h"

namespace cancelable {
ProcessTree::ProcessTree(std::function<bool(pid_t)> skip) : skip_(std::move(skip)) {}

void ProcessTree::hold(pid_t pid, pid_t parent, int parent_pidfd, const OnHold& held) {
    ++missed_;  // Until it is known to be where it was said to be.
    UniqueFd pidfd = open_pidfd(pid);
    if (!pidfd) {
        // Out of descriptors: what is held already can be dealt with, the rest is found by the next pass.
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) full_ = true;
        return;
    }
    const auto stat = read_stat(pid);
    if (!stat) {
        if (errno == EMFILE || errno == ENFILE) full_ = true;
        return;
    }
    if (stat->parent != parent || (parent_pidfd >= 0 && is_reaped(parent_pidfd))) return;
    --missed_;
    if (stat->is_corpse()) {
        corpses_.emplace_back(pid, stat->start_time);
        return;
    }

    const auto [entry, fresh] = counted_.try_emplace(pid, stat->start_time);
    if (fresh || entry->second != stat->start_time) ++seen_;
    entry->second = stat->start_time;
    held_.emplace(pid, order_.size());
    order_.push_back(Held{pid, stat->threads, stat->start_time, std::move(pidfd)});
    if (held) held(pid, *stat, order_.back().pidfd.get());
}

std::size_t ProcessTree::grow(const OnHold& held) {
    full_ = false;
    missed_ = 0;
    corpses_.clear();
    const std::size_t before = order_.size();
    const pid_t self = ::getpid();

    direct_.clear();
    append_children(self, 2, direct_);  // Ours may have been started by, or fallen to, any of our threads.
    if (skip_) std::erase_if(direct_, skip_);
    for (const pid_t pid : direct_)
        if (!held_.contains(pid)) hold(pid, self, -1, held);

    // order_ grows while it is read: what is found below a process is looked at in the same pass.
    for (std::size_t i = 0; i < order_.size() && !full_; ++i) {
        const pid_t parent = order_[i].pid;
        const int parent_pidfd = order_[i].pidfd.get();
        children_.clear();
        // It may have started threads since it was held: what they forked is found once it is held anew.
        append_children(parent, order_[i].threads, children_);
        for (const pid_t pid : children_)
            if (!held_.contains(pid)) hold(pid, parent, parent_pidfd, held);
    }
    return order_.size() - before;
}

void ProcessTree::signal(int number, std::vector<pid_t>& refused) {
    signal_if(number, [](pid_t) { return true; }, refused);
}

void ProcessTree::signal_if(int number, const std::function<bool(pid_t)>& wanted,
                            std::vector<pid_t>& refused) {
    for (const Held& process : order_)
        if (wanted(process.pid) && pidfd_send_signal(process.pidfd.get(), number) != 0 && errno == EPERM)
            refused.push_back(process.pid);
}

void ProcessTree::signal_children_first(
    int number, const std::function<bool(pid_t pid, std::uint64_t start_time)>& wanted) {
    for (const Held& process : std::views::reverse(order_))
        if (wanted(process.pid, process.start_time)) pidfd_send_signal(process.pidfd.get(), number);
}

bool ProcessTree::has_died() const {
    std::vector<pollfd> watched;
    watched.reserve(order_.size());
    for (const Held& process : order_)
        watched.push_back({process.pidfd.get(), POLLIN, 0});
    return ::poll(watched.data(), watched.size(), 0) != 0;
}

void ProcessTree::clear() {
    order_.clear();
    held_.clear();
}

}  // namespace cancelable
