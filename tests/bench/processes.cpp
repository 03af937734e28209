#include "tests/bench/processes.h"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "engine/process/fd.h"
#include "engine/process/proc.h"

extern char** environ;

namespace cancelable::bench {
namespace {

std::vector<char*> pointers(const Words& words) {
    std::vector<char*> result;
    for (const std::string& word : words)
        result.push_back(const_cast<char*>(word.c_str()));
    result.push_back(nullptr);
    return result;
}

[[noreturn]] void fail(const std::string& what, pid_t pid) {
    throw std::runtime_error(what + " of process " + std::to_string(pid));
}

std::string proc(pid_t pid, const char* file) {
    return "/proc/" + std::to_string(pid) + "/" + file;
}

// The sum of the values behind these keys in a file of lines such as `Pss:  120 kB`.
long sum_of(pid_t pid, const char* name, const Words& keys) {
    std::ifstream file(proc(pid, name));
    long sum = 0;
    bool found = false;
    for (std::string word; file >> word;)
        for (const std::string& key : keys)
            if (long value = 0; word == key && file >> value) {
                sum += value;
                found = true;
            }
    if (!found) fail("cannot read " + keys[0], pid);
    return sum;
}

}  // namespace

pid_t spawn(const Words& words, const Setup& setup) {
    static const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, setup.out >= 0 ? setup.out : null, STDOUT_FILENO);
    if (setup.quiet) posix_spawn_file_actions_adddup2(&actions, null, STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    if (setup.own_group) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    std::vector<char*> environment;
    if (setup.environment != nullptr) environment = pointers(*setup.environment);
    pid_t pid = 0;
    const int failure = posix_spawnp(&pid, words[0].c_str(), &actions, &attributes, pointers(words).data(),
                                     setup.environment != nullptr ? environment.data() : environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw std::runtime_error("cannot start " + words[0] + ": " + errno_text(failure));
    return pid;
}

void reap(pid_t pid, int signal) {
    siginfo_t info{};
    if (retry_eintr([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED); }) != 0)
        fail("cannot wait for the end", pid);
    const bool as_meant = signal == 0 ? info.si_code == CLD_EXITED && info.si_status == 0
                                      : info.si_code == CLD_KILLED && info.si_status == signal;
    if (!as_meant) fail("unexpected end (" + std::to_string(info.si_status) + ")", pid);
}

std::string output_of(const Words& words, Setup setup) {
    auto pipe = make_pipe();
    if (!pipe) throw std::runtime_error(pipe.error().sentence());
    setup.out = pipe->write_end.get();
    const pid_t pid = spawn(words, setup);
    pipe->write_end.reset();
    std::string text;
    char buffer[65536];
    while (true) {
        const ssize_t got = retry_eintr([&] { return ::read(pipe->read_end.get(), buffer, sizeof buffer); });
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    reap(pid);
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

pid_t parent_of(pid_t pid) {
    const auto stat = read_stat(pid);
    if (!stat) fail("cannot read the parent", pid);
    return stat->parent;
}

long pss_kib(pid_t pid) {
    return sum_of(pid, "smaps_rollup", {"Pss:"});
}

long anonymous_kib(pid_t pid) {
    return sum_of(pid, "smaps_rollup", {"Anonymous:", "SwapPss:"});
}

std::uint64_t wake_ups(pid_t pid) {
    std::uint64_t sum = 0;
    for (const auto& thread : std::filesystem::directory_iterator(proc(pid, "task"))) {
        std::ifstream file(thread.path() / "status");
        for (std::string word; file >> word;)
            if (std::uint64_t value = 0; word == "voluntary_ctxt_switches:" && file >> value) sum += value;
    }
    return sum;
}

std::size_t descriptors(pid_t pid) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(proc(pid, "fd")))
        count += entry.path().empty() ? 0 : 1;
    return count;
}

void settle(pid_t pid, const std::string& program) {
    if (pid <= 0) throw std::runtime_error(program + " does not run");
    for (std::string name; name != program;) {
        std::ifstream file(proc(pid, "comm"));
        if (!std::getline(file, name)) fail(program + " does not run; cannot read the name", pid);
        ::sched_yield();
    }
}

bool exists(pid_t pid) {
    return ::kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace cancelable::bench
