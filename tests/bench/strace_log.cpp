#include "tests/bench/strace_log.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>
#include <vector>

namespace cancelable::bench {
namespace {

constexpr std::array<std::string_view, 18> kNotCounted{"futex",         "poll",         "ppoll",
                                                       "select",        "pselect6",     "epoll_wait",
                                                       "epoll_pwait",   "epoll_pwait2", "restart_syscall",
                                                       "sched_yield",   "nanosleep",    "clock_nanosleep",
                                                       "clock_gettime", "gettimeofday", "time",
                                                       "rt_sigreturn",  "exit",         "exit_group"};

bool is_counted(std::string_view line) {
    if (line.empty() || std::islower(static_cast<unsigned char>(line[0])) == 0) return false;  // +++ and ---
    const std::string_view name = line.substr(0, line.find('('));
    if (std::find(kNotCounted.begin(), kNotCounted.end(), name) != kNotCounted.end()) return false;
    const auto result = line.rfind(") = ");
    if (result == std::string_view::npos) return false;  // still under way
    const std::string_view end = line.substr(result);
    return !end.contains("EAGAIN") && !end.contains("ERESTART") && !end.contains("EINTR");
}

// Threads that are started by the one whose log this is.
void find_threads(std::ifstream log, std::vector<pid_t>& found) {
    for (std::string line; std::getline(log, line);)
        if (line.starts_with("clone") && line.contains("CLONE_THREAD"))
            if (const auto result = line.rfind(") = "); result != std::string::npos)
                found.push_back(static_cast<pid_t>(std::atol(line.c_str() + result + 4)));
}

}  // namespace

std::size_t count_calls(std::istream& log, const std::string& until) {
    std::size_t count = 0;
    for (std::string line; std::getline(log, line);) {
        if (!until.empty() && line.contains(until)) break;
        count += is_counted(line) ? 1 : 0;
    }
    return count;
}

Calls count_calls_of_supervisor(const std::string& prefix, pid_t supervisor, const std::string& command) {
    const auto name = [&](pid_t thread) { return prefix + "." + std::to_string(thread); };
    Calls calls;
    std::set<std::string> done;
    std::vector<pid_t> threads{supervisor};
    for (std::size_t i = 0; i < threads.size(); ++i) {
        std::ifstream log(name(threads[i]));
        (i == 0 ? calls.loop : calls.workers) += count_calls(log);
        done.insert(name(threads[i]));
        find_threads(std::ifstream(name(threads[i])), threads);
    }
    const std::filesystem::path whole(prefix);
    for (const auto& entry : std::filesystem::directory_iterator(whole.parent_path())) {
        if (!entry.path().filename().string().starts_with(whole.filename().string() + ".")) continue;
        if (done.contains(entry.path())) continue;
        std::ifstream log(entry.path());
        calls.shims += count_calls(log, "execve(\"" + command + "\"");
    }
    return calls;
}

}  // namespace cancelable::bench
