#include "engine/process/spawn.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <string>

#include "engine/process/search_path.h"

namespace cancelable {
namespace {

// Runs sh -c `script` with the given request and returns what it wrote to descriptor 1.
std::string output_of(const char* script, SpawnRequest request, int* wait_status = nullptr) {
    auto pipe = make_pipe();
    REQUIRE(pipe);
    const std::array<const char*, 1> paths{"/bin/sh"};
    const std::array<const char*, 4> argv{"sh", "-c", script, nullptr};
    const std::array<const char*, 2> environment{"PATH=/usr/bin:/bin", nullptr};
    const std::array<DescriptorMove, 3> stdio{{{0, -1}, {1, pipe->write_end.get()}, {2, 2}}};
    request.paths = paths;
    request.argv = argv.data();
    request.environment = environment.data();
    request.descriptors = stdio;
    const auto child = spawn(request);
    REQUIRE(child);
    pipe->write_end.reset();
    std::string text;
    char buffer[4096];
    for (ssize_t length = 0; (length = ::read(pipe->read_end.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(length));
    int status = 0;
    CHECK(::waitpid(child->pid, &status, 0) == child->pid);
    if (wait_status != nullptr) *wait_status = status;
    return text;
}

TEST_CASE("a child has default signals and an empty mask, whatever we ignore and block") {
    ::signal(SIGUSR2, SIG_IGN);
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    // Read by the shell itself, so that no other program's notion of signals comes between.
    const std::string status = output_of(
        "while read -r key value; do case $key in Sig[BI]*) echo $key$value;; esac; done < /proc/$$/status",
        {});
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGUSR2, SIG_DFL);
    CHECK(status == "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
}

TEST_CASE("a child has the descriptors that it was given and no others") {
    const UniqueFd leaked(::dup(2));  // as one inherited from whoever started us: not close-on-exec
    // By the shell alone: a pipeline, or a listing, would have descriptors of its own.
    const char* look =
        "n=0; while [ $n -lt 100 ]; do [ -e /proc/$$/fd/$n ] && echo -n $n ''; n=$((n+1)); done";
    CHECK(output_of(look, {}) == "1 2 ");
}

TEST_CASE("a child gets its directory, umask, niceness and limits") {
    const UniqueFd root(::open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC));
    const std::array<ResourceLimit, 1> limits{{{RLIMIT_NOFILE, 123, 456}}};
    SpawnRequest request;
    request.directory = root.get();
    request.umask = 0123;
    request.nice = 19;
    request.limits = limits;
    request.new_session = true;
    CHECK(output_of("pwd -P; umask; nice; ulimit -Sn; ulimit -Hn", request) == "/usr\n0123\n19\n123\n456\n");
}

TEST_CASE("a command that is not there or cannot be executed is an error with its errno") {
    const auto try_paths = [](std::vector<const char*> paths) {
        const std::array<const char*, 2> argv{"x", nullptr};
        const std::array<const char*, 1> environment{nullptr};
        const auto child = spawn({.paths = paths, .argv = argv.data(), .environment = environment.data()});
        REQUIRE_FALSE(child);
        CHECK(child.error().at_exec);
        return child.error().error.os_errno;
    };
    CHECK(try_paths({"/nowhere/x"}) == ENOENT);
    CHECK(try_paths({"/etc/passwd"}) == EACCES);
    CHECK(try_paths({"/etc/passwd", "/nowhere/x"}) == EACCES);
    CHECK(try_paths({}) == ENOENT);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // The failed ones are reaped.
}

TEST_CASE("a working directory that cannot be entered is no exec failure") {
    const UniqueFd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    const std::array<const char*, 1> paths{"/bin/true"};
    const std::array<const char*, 2> argv{"true", nullptr};
    const std::array<const char*, 1> environment{nullptr};
    const auto child = spawn(
        {.paths = paths, .argv = argv.data(), .environment = environment.data(), .directory = file.get()});
    REQUIRE_FALSE(child);
    CHECK_FALSE(child.error().at_exec);
    CHECK(child.error().error.os_errno == ENOTDIR);
}

TEST_CASE("the search path is the environment's, and empty entries are the current directory") {
    CHECK(search_path("a/b", {"PATH=/x"}) == std::vector<std::string>{"a/b"});
    CHECK(search_path("b", {"PATH=/x::/y:"}) == std::vector<std::string>{"/x/b", "./b", "/y/b", "./b"});
    CHECK(search_path("b", {}) == std::vector<std::string>{"/bin/b", "/usr/bin/b"});
    CHECK(search_path("", {"PATH=/x"}).empty());
}

}  // namespace
}  // namespace cancelable
