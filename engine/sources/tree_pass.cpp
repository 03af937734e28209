#include "engine/sources/tree_pass.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "engine/process/fd.h"

namespace cancelable {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

std::uint64_t to_number(std::string_view text) noexcept {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// The fields of /proc/<pid>/stat behind the name, which is in parentheses and may hold some itself.
bool read_stat_line(std::string_view text, ProcessUsage& process) {
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 > text.size()) return false;
    text.remove_prefix(name_end + 2);
    for (int field = 3; field <= 24; ++field) {  // as proc(5) counts them
        const std::string_view value = text.substr(0, text.find(' '));
        if (value.empty()) return false;
        if (field == 3) process.is_corpse = value == "Z" || value == "X";
        if (field == 4) process.parent = static_cast<pid_t>(to_number(value));
        if (field >= 14 && field <= 17) process.cpu_ticks += to_number(value);
        if (field == 24) process.rss_pages = to_number(value);
        text.remove_prefix(std::min(value.size() + 1, text.size()));
    }
    return true;
}

std::string read_small(const char* path) {
    const auto file = open_file(path, O_RDONLY);
    if (!file) return {};
    std::array<char, 4096> buffer{};
    const ssize_t got = retry_eintr([&] { return ::read(file->get(), buffer.data(), buffer.size()); });
    return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

double value_of(const std::string& meminfo, const std::string& name) {
    const std::size_t at = meminfo.find(name + ":");
    return at == std::string::npos ? 0 : std::strtod(meminfo.c_str() + at + name.size() + 1, nullptr);
}

}  // namespace

std::unordered_map<pid_t, TreeUsage> sum_up(const std::vector<ProcessUsage>& processes,
                                            const std::vector<pid_t>& shims) {
    static const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    static const auto tick = std::chrono::microseconds(1'000'000 / std::max(::sysconf(_SC_CLK_TCK), 1L));
    std::unordered_map<pid_t, TreeUsage> trees;
    trees.reserve(shims.size());
    for (const pid_t shim : shims)
        trees.emplace(shim, TreeUsage{});
    std::unordered_map<pid_t, pid_t> parents;
    parents.reserve(processes.size());
    for (const ProcessUsage& process : processes)
        parents.emplace(process.pid, process.parent);

    // The shim that each process is below; 0: none. Found once for all on the way up.
    std::unordered_map<pid_t, pid_t> roots;
    roots.reserve(processes.size());
    std::vector<pid_t> path;
    for (const ProcessUsage& process : processes) {
        path.clear();
        pid_t root = 0;
        for (pid_t pid = process.pid;;) {
            if (const auto known = roots.find(pid); known != roots.end()) {
                root = known->second;
                break;
            }
            // Known from now on, so that a circle ends.
            roots.emplace(pid, 0);
            path.push_back(pid);
            const auto parent = parents.find(pid);
            if (parent == parents.end()) break;
            if (trees.contains(parent->second)) {
                root = parent->second;
                break;
            }
            pid = parent->second;
        }
        for (const pid_t pid : path)
            roots[pid] = root;
        const auto own = trees.find(process.pid);
        // A shim's own time is next to none, but it has reaped what was left to it.
        if (own != trees.end()) own->second.cpu += process.cpu_ticks * tick;
        if (root == 0) continue;
        TreeUsage& tree = trees[root];
        tree.cpu += process.cpu_ticks * tick;
        tree.rss_bytes += process.rss_pages * page_size;
        if (!process.is_corpse) ++tree.processes;
    }
    return trees;
}

std::vector<ProcessUsage> look_at_processes() {
    std::vector<ProcessUsage> processes;
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir("/proc"));
    if (!directory) return processes;
    const int proc = ::dirfd(directory.get());
    std::string path;
    while (const dirent* entry = ::readdir(directory.get())) {
        ProcessUsage process;
        process.pid = static_cast<pid_t>(to_number(entry->d_name));
        if (process.pid == 0) continue;
        path.assign(entry->d_name).append("/stat");
        const UniqueFd file(::openat(proc, path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file) continue;
        std::array<char, 1024> buffer;
        const ssize_t got = retry_eintr([&] { return ::read(file.get(), buffer.data(), buffer.size()); });
        if (got > 0 && read_stat_line({buffer.data(), static_cast<std::size_t>(got)}, process))
            processes.push_back(process);
    }
    return processes;
}

HostUsage look_at_host() {
    HostUsage usage;
    const std::string meminfo = read_small("/proc/meminfo");
    const double total = value_of(meminfo, "MemTotal");
    if (total > 0) usage.memory_percent = 100 * (1 - value_of(meminfo, "MemAvailable") / total);
    usage.load = std::strtod(read_small("/proc/loadavg").c_str(), nullptr);
    return usage;
}

}  // namespace cancelable
