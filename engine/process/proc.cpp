#include "engine/process/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>

#include "engine/process/fd.h"

namespace cancelable {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// "/proc/<pid>/stat" and the like, without stdio: a walk makes thousands of them, and a shim is spared the
// code.
class ProcPath {
public:
    ProcPath& operator/(std::string_view name) noexcept {
        *end_++ = '/';
        end_ = std::copy(name.begin(), name.end(), end_);
        return *this;
    }
    ProcPath& operator/(pid_t number) noexcept {
        *end_++ = '/';
        end_ = std::to_chars(end_, text_ + sizeof text_ - 1, number).ptr;
        return *this;
    }
    const char* c_str() noexcept {
        *end_ = '\0';
        return text_;
    }

private:
    char text_[64] = "/proc";
    char* end_ = text_ + 5;
};

std::uint64_t to_number(std::string_view text) noexcept {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// Numeric names of a directory: processes of /proc, threads of /proc/<pid>/task.
template <class Visit>
void for_each_number(const char* path, Visit&& visit) {
    const Directory directory(::opendir(path));
    if (!directory) return;
    while (const dirent* entry = ::readdir(directory.get())) {
        if (const std::uint64_t number = to_number(entry->d_name); number != 0)
            visit(static_cast<pid_t>(number));
    }
}

// False where the file is not there: the task has gone, or the kernel was built without it.
bool append_children_of_thread(pid_t pid, pid_t thread, std::vector<pid_t>& children) {
    const UniqueFd file(
        ::open((ProcPath() / pid / "task" / thread / "children").c_str(), O_RDONLY | O_CLOEXEC));
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

std::optional<ProcStat> read_stat_at(ProcPath& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    char buffer[1024];
    const ssize_t length = retry_eintr([&] { return ::read(file.get(), buffer, sizeof buffer); });
    if (length <= 0) return std::nullopt;
    std::string_view text(buffer, static_cast<std::size_t>(length));
    // The name stands in parentheses and may itself contain some: the numbered fields start behind the last
    // one.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 > text.size()) return std::nullopt;
    text.remove_prefix(name_end + 2);
    ProcStat stat;
    for (int field = 3; field <= 34; ++field) {  // as proc(5) counts them
        const std::string_view value = text.substr(0, text.find(' '));
        if (value.empty()) return std::nullopt;
        if (field == 3) stat.state = value.front();
        if (field == 4) stat.parent = static_cast<pid_t>(to_number(value));
        if (field == 20) stat.threads = static_cast<unsigned>(to_number(value));
        if (field == 22) stat.start_time = to_number(value);
        if (field == 32 || field == 34) stat.handled |= to_number(value);
        text.remove_prefix(std::min(value.size() + 1, text.size()));
    }
    return stat;
}

bool kernel_lists_children() {
    static const bool listed =
        ::access((ProcPath() / ::getpid() / "task" / ::getpid() / "children").c_str(), R_OK) == 0;
    return listed;
}

}  // namespace

std::optional<ProcStat> read_stat(pid_t pid) {
    return read_stat_at(ProcPath() / pid / "stat");
}

Activity activity_of(pid_t pid, const ProcStat& stat) {
    const auto of_thread = [](const ProcStat& thread) {
        if (std::string_view("TtZX").contains(thread.state)) return Activity::stopped;
        return thread.state == 'D' ? Activity::asleep : Activity::running;
    };
    Activity activity = of_thread(stat);
    if (stat.threads <= 1 || activity == Activity::running) return activity;
    for_each_number((ProcPath() / pid / "task").c_str(), [&](pid_t thread) {
        const auto seen = read_stat_at(ProcPath() / pid / "task" / thread / "stat");
        if (seen) activity = std::max(activity, of_thread(*seen));
    });
    return activity;
}

std::vector<pid_t> all_processes() {
    std::vector<pid_t> processes;
    for_each_number("/proc", [&](pid_t pid) { processes.push_back(pid); });
    return processes;
}

bool ignores_signal(pid_t pid, int number) {
    const UniqueFd file(::open((ProcPath() / pid / "status").c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return false;
    char buffer[4096];
    const ssize_t length = retry_eintr([&] { return ::read(file.get(), buffer, sizeof buffer); });
    if (length <= 0) return false;
    const std::string_view text(buffer, static_cast<std::size_t>(length));
    constexpr std::string_view kLine = "\nSigIgn:\t";
    const std::size_t at = text.find(kLine);
    if (at == std::string_view::npos) return false;
    std::uint64_t mask = 0;
    std::from_chars(text.data() + at + kLine.size(), text.data() + text.size(), mask, 16);
    return (mask >> (number - 1) & 1) != 0;
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
    for_each_number((ProcPath() / pid / "task").c_str(),
                    [&](pid_t thread) { append_children_of_thread(pid, thread, children); });
}

}  // namespace cancelable
