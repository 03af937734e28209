#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/bench/stored_counts.h"
#include "tests/bench/strace_log.h"

namespace cancelable::bench {
namespace {

namespace fs = std::filesystem;

// A directory that goes with its test.
class Directory {
public:
    Directory() {
        char name[] = "/tmp/cancelable-unit.XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Directory() { fs::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

void write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
}

TEST_CASE("system calls that only wait, find nothing or are still under way are not counted") {
    std::istringstream log(
        "openat(AT_FDCWD, \"/x\", O_RDONLY) = 3\n"
        "close(9) = -1 EBADF (Bad file descriptor)\n"
        "epoll_wait(7, [], 1024, 0) = 0\n"
        "futex(0x1, FUTEX_WAIT_PRIVATE, 2, NULL) = 0\n"
        "read(3, 0x1, 8) = -1 EAGAIN (Resource temporarily unavailable)\n"
        "--- SIGCHLD {si_signo=SIGCHLD} ---\n"
        "+++ exited with 0 +++\n"
        "recvmsg(3, ");
    CHECK(count_calls(log) == 2);
}

TEST_CASE("system calls are told apart by loop, workers and shims, and a command's own are left out") {
    const Directory directory;
    write(directory / "log.10",
          "socket(AF_UNIX) = 3\n"
          "clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x1} => {parent_tid=[11]}, 88) = 11\n"
          "clone(child_stack=0x1, flags=CLONE_VM|CLONE_VFORK|CLONE_PIDFD|SIGCHLD, parent_tid=[4]) = 12\n");
    write(directory / "log.11", "fsync(4) = 0\n");
    write(directory / "log.12",
          "setsid() = 12\nexecve(\"/x/cancelable-shim\", 0x1, 0x2) = 0\ndup2(1, 2) = 2\n");
    write(directory / "log.13", "dup2(3, 0) = 0\nexecve(\"/bin/true\", 0x1, 0x2) = 0\nbrk(NULL) = 0x1\n");
    const Calls calls = count_calls_of_supervisor(directory / "log", 10, "/bin/true");
    CHECK(calls.loop == 3);
    CHECK(calls.workers == 1);
    CHECK(calls.shims == 4);
}

TEST_CASE("a count beyond its stored figure and tolerance is complained of, with what to do") {
    const Directory directory;
    const std::string path = directory / "counts.txt";
    write(path, "# why\ncalls.client 100.0 5%\n");
    const StoredCounts stored(path);
    CHECK(stored.complaints({{"calls.client", 104, 5}}).empty());
    const auto complaints = stored.complaints({{"calls.client", 106, 5}});
    REQUIRE(complaints.size() == 1);
    CHECK(complaints[0].contains("6.0 % more than the stored 100.0"));
    CHECK(complaints[0].contains("share/scripts/bench counts --update"));
    CHECK(stored.complaints({{"calls.shim", 1, 5}}).size() == 1);
    CHECK(stored.complaints({{"calls.client", 50, 5}}).empty());
    CHECK(stored.remarks({{"calls.client", 50, 5}}).size() == 1);
}

TEST_CASE("storing counts keeps those that were not counted, and tolerances that were edited") {
    const Directory directory;
    const std::string path = directory / "counts.txt";
    write(path, "calls.client 100.0 2%\ncalls.shim 10.0 5%\n");
    StoredCounts(path).update({{"calls.client", 120, 5}, {"memory.supervisor", 4000, 8}});
    const StoredCounts stored(path);
    CHECK(stored.complaints({{"calls.client", 122, 5}, {"calls.shim", 10, 5}, {"memory.supervisor", 4000, 8}})
              .empty());
    CHECK(stored.complaints({{"calls.client", 123, 5}}).size() == 1);
    write(path, "calls.client many\n");
    CHECK_THROWS_AS(StoredCounts{path}, std::runtime_error);
}

}  // namespace
}  // namespace cancelable::bench
