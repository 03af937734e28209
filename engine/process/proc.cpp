#include "engine/process/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

#include "engine/process/fd.h"

namespace cancelable {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// Numeric names of a directory: processes of /proc, threads of /proc/<pid>/task.
template <class Visit>
void for_each_number(const char* path, Visit&& visit) {
    const Directory directory(::opendir(path));
    if (!directory) return;
    while (const dirent* entry = ::readdir(directory.get())) {
        char* end = nullptr;
        const long number = std::strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0') visit(static_cast<pid_t>(number));
    }
}

// False where the file is not there: the task has gone, or the kernel was built without it.
bool append_children_of_thread(pid_t pid, pid_t thread, std::vector<pid_t>& children) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, thread);
    const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
    if (!file) return false;
    char buffer[4096];
    pid_t number = 0;  // A number may be cut in two by the end of the buffer.
    for (;;) {
        const ssize_t length = retry_eintr([&] { return ::read(file.get(), buffer, sizeof buffer); });
        if (length <= 0) break;
        for (const char c : std::string_view(buffer, static_cast<std::size_t>(length))) {
            if (c >= '0' && c <= '9') {
                number = number * 10 + (c - '0');
            } else if (number != 0) {
                children.push_back(number);
                number = 0;
            }
        }
    }
    if (number != 0) children.push_back(number);
    return true;
}

bool kernel_lists_children() {
    static const bool listed = [] {
        char path[64];
        std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", ::getpid(), ::getpid());
        return ::access(path, R_OK) == 0;
    }();
    return listed;
}

}  // namespace

std::optional<ProcStat> read_stat(pid_t pid) {
    char buffer[1024];
    std::snprintf(buffer, sizeof buffer, "/proc/%d/stat", pid);
    const UniqueFd file(::open(buffer, O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    const ssize_t length = retry_eintr([&] { return ::read(file.get(), buffer, sizeof buffer - 1); });
    if (length <= 0) return std::nullopt;
    buffer[length] = '\0';
    // The name stands in parentheses and may itself contain some: the fields start behind the last one.
    const char* fields = std::strrchr(buffer, ')');
    if (fields == nullptr) return std::nullopt;
    ProcStat stat;
    unsigned long long start_time = 0;
    const int read = std::sscanf(
        fields + 1, " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %u %*s %llu",
        &stat.state, &stat.parent, &stat.threads, &start_time);
    if (read != 4) return std::nullopt;
    stat.start_time = start_time;
    return stat;
}

void append_children(pid_t pid, unsigned threads, std::vector<pid_t>& children) {
    if (!kernel_lists_children()) {
        // Every process names its parent: slower, since it reads them all, and just as true.
        for_each_number("/proc", [&](pid_t candidate) {
            const auto stat = read_stat(candidate);
            if (stat && stat->parent == pid) children.push_back(candidate);
        });
        return;
    }
    if (threads <= 1) {
        append_children_of_thread(pid, pid, children);
        return;
    }
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/task", pid);
    for_each_number(path, [&](pid_t thread) { append_children_of_thread(pid, thread, children); });
}

}  // namespace cancelable
