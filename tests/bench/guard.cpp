#include "tests/bench/guard.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "engine/process/tree.h"

namespace cancelable::bench {
namespace {

// What every process of ours falls to in the end is this one, a subreaper: so the tree is all that is left.
void end_descendants() {
    while (true) {
        ProcessTree tree;
        std::vector<pid_t> refused;
        while (tree.grow() > 0)
            tree.signal(SIGSTOP, refused);
        tree.signal(SIGKILL, refused);
        pid_t reaped = 0;
        while ((reaped = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        if (reaped < 0 && errno == ECHILD) return;
        if (!refused.empty()) throw std::runtime_error("not all that was started could be ended");
        ::usleep(1000);
    }
}

int work_in_child(const std::function<int(const std::string&)>& work, const std::string& directory) {
    try {
        return work(directory);
    } catch (const std::exception& error) {
        std::fflush(stdout);
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}

std::string& memory() {
    static std::string directory;
    return directory;
}

std::string& installation() {
    static std::string directory;
    return directory;
}

}  // namespace

const std::string& memory_directory() {
    return memory();
}

const std::string& installation_directory() {
    return installation();
}

int run_guarded(const std::function<int(const std::string& directory)>& work) {
    // Short, since the name of a socket may not be longer than 107 bytes.
    char name[] = "/tmp/cancelable-bench.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a directory in /tmp");
    const std::string directory = name;
    char in_memory[] = "/dev/shm/cancelable-bench.XXXXXX";
    memory() = ::mkdtemp(in_memory) != nullptr ? in_memory : directory;
    char built[] = CANCELABLE_PROGRAMS "/../installed.XXXXXX";
    installation() = ::mkdtemp(built) != nullptr ? built : directory;

    sigset_t watched;
    sigset_t before;
    ::sigemptyset(&watched);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD})
        ::sigaddset(&watched, number);
    ::sigprocmask(SIG_BLOCK, &watched, &before);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t guard = ::getpid();
    const pid_t worker = ::fork();
    if (worker < 0) throw std::runtime_error("cannot fork");
    if (worker == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != guard) ::_exit(1);
        ::sigprocmask(SIG_SETMASK, &before, nullptr);
        std::exit(work_in_child(work, directory));
    }

    int status = -1;
    for (int number = 0; status < 0;) {
        if (::sigwait(&watched, &number) != 0) continue;
        if (number != SIGCHLD) {
            status = 128 + number;
            break;
        }
        int ended = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &ended, WNOHANG)) > 0;)
            if (pid == worker) status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    }
    end_descendants();
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    std::filesystem::remove_all(memory(), ignored);
    std::filesystem::remove_all(installation(), ignored);
    return status;
}

}  // namespace cancelable::bench
