#include "engine/process/tree.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "engine/process/proc.h"

namespace cancelable {
namespace {

int pidfd_open(pid_t pid) {
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

int pidfd_send_signal(int pidfd, int number) {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

bool is_reaped(int pidfd) {
    return pidfd_send_signal(pidfd, 0) != 0 && errno == ESRCH;
}

}  // namespace

ProcessTree::ProcessTree(std::function<bool(pid_t)> skip) : skip_(std::move(skip)) {}

bool ProcessTree::hold(pid_t pid, pid_t parent, int parent_pidfd) {
    UniqueFd pidfd(pidfd_open(pid));
    if (!pidfd) {
        // Out of descriptors: what is held already can be dealt with, the rest is found by the next pass.
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) full_ = true;
        return false;
    }
    const auto stat = read_stat(pid);
    if (!stat) {
        if (errno == EMFILE || errno == ENFILE) full_ = true;
        return false;
    }
    if (stat->parent != parent || stat->is_corpse()) return false;
    if (parent_pidfd >= 0 && is_reaped(parent_pidfd)) return false;

    const auto [entry, fresh] = counted_.try_emplace(pid, stat->start_time);
    if (fresh || entry->second != stat->start_time) ++seen_;
    entry->second = stat->start_time;
    held_.emplace(pid, order_.size());
    order_.push_back(Held{pid, stat->threads, std::move(pidfd)});
    return true;
}

std::size_t ProcessTree::grow() {
    full_ = false;
    const std::size_t before = order_.size();
    const pid_t self = ::getpid();

    direct_.clear();
    append_children(self, 2, direct_);  // Ours may have been started by, or fallen to, any of our threads.
    if (skip_) std::erase_if(direct_, skip_);
    for (const pid_t pid : direct_)
        if (!held_.contains(pid)) hold(pid, self, -1);

    // order_ grows while it is read: what is found below a process is looked at in the same pass.
    for (std::size_t i = 0; i < order_.size() && !full_; ++i) {
        const pid_t parent = order_[i].pid;
        const int parent_pidfd = order_[i].pidfd.get();
        children_.clear();
        // It may have started threads since it was held: what they forked is found once it is held anew.
        append_children(parent, order_[i].threads, children_);
        for (const pid_t pid : children_)
            if (!held_.contains(pid)) hold(pid, parent, parent_pidfd);
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

void ProcessTree::clear() {
    order_.clear();
    held_.clear();
}

}  // namespace cancelable
