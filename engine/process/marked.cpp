#include "engine/process/marked.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

#include "engine/process/pidfd.h"
#include "engine/process/proc.h"

namespace cancelable {
namespace {

// Empty where it may not be read, as that of another user's process, or is not there any more.
std::string environment_of(pid_t pid) {
    const std::string directory = "/proc/" + std::to_string(pid);
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0 || status.st_uid != ::geteuid()) return {};
    const UniqueFd file(::open((directory + "/environ").c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    char buffer[16 * 1024];
    while (file) {
        const ssize_t got = retry_eintr([&] { return ::read(file.get(), buffer, sizeof buffer); });
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
}

bool contains_entry(std::string_view environment, std::string_view entry) {
    for (std::size_t at = environment.find(entry); at != std::string_view::npos;
         at = environment.find(entry, at + 1)) {
        const std::size_t end = at + entry.size();
        const bool starts = at == 0 || environment[at - 1] == '\0';
        if (starts && (end == environment.size() || environment[end] == '\0')) return true;
    }
    return false;
}

}  // namespace

bool MarkedProcesses::has_marks(pid_t pid) const {
    const std::string environment = environment_of(pid);
    return !environment.empty() && std::ranges::all_of(marks_, [&](const std::string& mark) {
        return contains_entry(environment, mark);
    });
}

bool MarkedProcesses::hold(pid_t pid, const std::function<bool()>& is_ours) {
    if (pid == ::getpid() || held_.contains(pid)) return false;
    UniqueFd pidfd = open_pidfd(pid);
    if (!pidfd || !is_ours()) return false;
    const auto stat = read_stat(pid);
    if (!stat || stat->is_corpse() || is_reaped(pidfd.get())) return false;
    held_.emplace(pid, std::move(pidfd));
    return true;
}

std::size_t MarkedProcesses::grow() {
    const std::size_t before = held_.size();
    std::vector<pid_t> fresh;
    for (const pid_t pid : all_processes())
        if (hold(pid, [&] { return has_marks(pid); })) fresh.push_back(pid);
    // A stopped parent has no new children, but one that was held a moment ago may have.
    for (const auto& [pid, pidfd] : held_)
        if (std::ranges::find(fresh, pid) == fresh.end()) fresh.push_back(pid);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
        const pid_t parent = fresh[i];
        const auto stat = read_stat(parent);
        std::vector<pid_t> children;
        if (stat) append_children(parent, stat->threads, children);
        for (const pid_t pid : children) {
            const bool held = hold(pid, [&] {
                const auto child = read_stat(pid);
                return child && child->parent == parent && !is_reaped(held_.at(parent).get());
            });
            if (held) fresh.push_back(pid);
        }
    }
    return held_.size() - before;
}

void MarkedProcesses::signal(int number, std::vector<pid_t>& refused) const {
    for (const auto& [pid, pidfd] : held_)
        if (pidfd_send_signal(pidfd.get(), number) != 0 && errno == EPERM) refused.push_back(pid);
}

void MarkedProcesses::forget_dead() {
    std::erase_if(held_, [](const auto& entry) {
        const auto stat = read_stat(entry.first);
        // Whoever has the number by now, ours is reaped.
        return is_reaped(entry.second.get()) || (stat && stat->is_corpse());
    });
}

void MarkedProcesses::clear() {
    held_.clear();
}

std::vector<pid_t> end_marked(const MarkedProcesses::Marks& marks, const std::function<bool()>& wanted) {
    MarkedProcesses processes(marks);
    std::chrono::milliseconds pause{1};
    std::vector<pid_t> refused;
    // One empty pass may be an accident: the processes are listed without a lock, and one that is being
    // replaced by another program has no environment for a moment.
    for (int quiet = 0; quiet < 2 && wanted();) {
        refused.clear();
        std::vector<pid_t> ignored;
        while (processes.grow() > 0)
            processes.signal(SIGSTOP, ignored);
        processes.signal(SIGKILL, refused);
        processes.forget_dead();
        quiet = processes.size() == refused.size() ? quiet + 1 : 0;
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::milliseconds(50));
    }
    std::ranges::sort(refused);
    return refused;
}

}  // namespace cancelable
