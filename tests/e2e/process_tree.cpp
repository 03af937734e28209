#include "tests/e2e/process_tree.h"

#include <dirent.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

std::string proc_path(pid_t pid, const std::string& file) {
    return "/proc/" + std::to_string(pid) + "/" + file;
}

std::vector<pid_t> threads_of(pid_t pid) {
    std::vector<pid_t> threads;
    DIR* directory = ::opendir(proc_path(pid, "task").c_str());
    if (directory == nullptr) return threads;
    while (const dirent* entry = ::readdir(directory))
        if (entry->d_name[0] != '.') threads.push_back(std::atoi(entry->d_name));
    ::closedir(directory);
    return threads;
}

// The fields of a stat file from the third on; the second, the name, may hold anything.
std::string stat_after_name(pid_t pid) {
    std::ifstream file(proc_path(pid, "stat"));
    // getline, since a process that vanishes while it is read makes the stream's iterators throw.
    std::string text;
    std::getline(file, text, '\0');
    const auto end_of_name = text.rfind(") ");
    return end_of_name == std::string::npos ? "" : text.substr(end_of_name + 2);
}

// A process whose main thread has ended looks like a zombie while its other threads run on.
bool is_alive(pid_t pid, std::size_t thread_count) {
    const std::string stat = stat_after_name(pid);
    if (stat.empty() || stat[0] == 'X') return false;
    return stat[0] != 'Z' || thread_count > 1;
}

void collect(pid_t parent, std::vector<pid_t>& into) {
    for (const pid_t thread : threads_of(parent)) {
        std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(thread) +
                           "/children");
        for (pid_t child = 0; file >> child;) {
            if (is_alive(child, threads_of(child).size())) into.push_back(child);
            collect(child, into);
        }
    }
}

}  // namespace

std::vector<pid_t> descendants(pid_t root) {
    std::vector<pid_t> found;
    collect(root, found);
    return found;
}

std::string program_of(pid_t pid) {
    char target[4096];
    const ssize_t length = ::readlink(proc_path(pid, "exe").c_str(), target, sizeof target);
    if (length <= 0) {
        // On its way out, a process has already let go of its program, and keeps only its name.
        std::ifstream file(proc_path(pid, "comm"));
        std::string name;
        std::getline(file, name);
        return name;
    }
    const std::string path(target, static_cast<std::size_t>(length));
    return path.substr(path.rfind('/') + 1);
}

std::vector<std::string> command_line(pid_t pid) {
    std::ifstream file(proc_path(pid, "cmdline"));
    std::vector<std::string> words;
    for (std::string word; std::getline(file, word, '\0');)
        words.push_back(word);
    return words;
}

pid_t parent_of(pid_t pid) {
    const std::string stat = stat_after_name(pid);
    return stat.size() < 3 ? 0 : std::atoi(stat.c_str() + 2);
}

char state_of(pid_t pid) {
    const std::string stat = stat_after_name(pid);
    return stat.empty() ? '?' : stat[0];
}

UniqueFd open_pidfd(pid_t pid) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!fd) throw std::runtime_error("no process " + std::to_string(pid));
    return fd;
}

Witness::Witness(const std::vector<pid_t>& processes) {
    for (const pid_t pid : processes) {
        UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
        if (fd) held_.push_back({pid, std::move(fd)});
    }
}

std::vector<pid_t> Witness::alive() const {
    std::vector<pid_t> alive;
    for (const Held& held : held_) {
        pollfd entry{held.pidfd.get(), POLLIN, 0};
        if (::poll(&entry, 1, 0) == 0) alive.push_back(held.pid);
    }
    return alive;
}

void Witness::wait_until_gone() const {
    const Deadline deadline;
    for (const Held& held : held_)
        if (!wait_readable(held.pidfd.get(), deadline))
            throw Impatient("process " + std::to_string(held.pid) + " lives on");
}

void Witness::signal(int number) const {
    for (const Held& held : held_)
        ::syscall(SYS_pidfd_send_signal, held.pidfd.get(), number, nullptr, 0);
}

}  // namespace cancelable::e2e
