#include "engine/process/tree.h"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "engine/process/proc.h"
#include "engine/shim/cancel_tree.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using Clock = TreeCanceller::Clock;

// A child of the test, which is a subreaper meanwhile: a tree of `width` grandchildren that is up when this
// returns. With `deaf`, nobody in it hears SIGTERM.
class Family {
public:
    explicit Family(int width, bool deaf = false) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        auto ready = make_pipe();
        REQUIRE(ready);
        top_ = ::fork();
        if (top_ == 0) {
            ::signal(SIGTERM, deaf ? SIG_IGN : SIG_DFL);  // The test framework catches it.
            for (int i = 0; i < width; ++i)
                if (::fork() == 0) stay(ready->write_end.get());
            stay(ready->write_end.get());
        }
        ready->write_end.reset();
        char byte = 0;
        for (int i = 0; i <= width; ++i)
            REQUIRE(retry_eintr([&] { return ::read(ready->read_end.get(), &byte, 1); }) == 1);
    }
    ~Family() {
        ProcessTree tree;
        std::vector<pid_t> refused;
        while (tree.grow() > 0)
            tree.signal(SIGKILL, refused);
        reap_all();
        ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    }
    static void reap_all() {
        while (retry_eintr([] { return ::waitpid(-1, nullptr, 0); }) > 0) {
        }
    }

private:
    [[noreturn]] static void stay(int ready) {
        [[maybe_unused]] const auto told = ::write(ready, "x", 1);
        for (;;)
            ::pause();
    }
    pid_t top_ = -1;
};

// As a shim does it: advance when due, reap, until ECHILD.
void run_until_gone(TreeCanceller& canceller) {
    for (;;) {
        const pid_t reaped = retry_eintr([] { return ::waitpid(-1, nullptr, WNOHANG); });
        if (reaped < 0) return;
        if (reaped == 0) canceller.advance(Clock::now());
    }
}

TEST_CASE("a pass finds every descendant once") {
    const Family family(5);
    ProcessTree tree;
    CHECK(tree.grow() == 6);
    CHECK(tree.grow() == 0);
    CHECK(tree.size() == 6);
    CHECK(tree.seen() == 6);
    CHECK(tree.direct_children().size() == 1);
}

TEST_CASE("a skipped child keeps its whole tree out of sight") {
    const Family family(3);
    ProcessTree tree([](pid_t) { return true; });
    CHECK(tree.grow() == 0);
    CHECK(tree.direct_children().empty());
}

TEST_CASE("the polite signal alone ends a tree that hears it") {
    const Family family(4);
    ProcessTree tree;
    TreeCanceller canceller(tree);
    canceller.begin({{SIGTERM, 10min}}, Clock::now());
    run_until_gone(canceller);
    CHECK(canceller.signals() == std::vector<int>{SIGTERM});
    CHECK(canceller.processes() == 5);
}

TEST_CASE("the hard way comes when the grace is over, and not before") {
    const Family family(4, true);
    ProcessTree tree;
    TreeCanceller canceller(tree);
    const auto start = Clock::now();
    canceller.begin({{SIGTERM, 1h}}, start);
    CHECK(canceller.due() == start + 1h);
    canceller.advance(start + 59min);
    CHECK(canceller.signals() == std::vector<int>{SIGTERM});
    canceller.advance(start + 1h);
    CHECK(canceller.signals() == std::vector<int>{SIGTERM, SIGKILL});
    Family::reap_all();
    CHECK(canceller.survivors().empty());
}

TEST_CASE("a later request hurries, and never slows down") {
    const Family family(2, true);
    ProcessTree tree;
    TreeCanceller canceller(tree);
    const auto start = Clock::now();
    canceller.begin({{SIGTERM, 10min}}, start);
    canceller.begin({{SIGINT, 20min}}, start);
    CHECK(canceller.due() == start + 10min);
    canceller.begin({{SIGINT, 1min}}, start);
    CHECK(canceller.due() == start + 1min);
    CHECK(canceller.signals() == std::vector<int>{SIGTERM});
    canceller.begin({}, start);
    CHECK(canceller.signals() == std::vector<int>{SIGTERM, SIGKILL});
    Family::reap_all();
}

TEST_CASE("an empty plan goes straight to SIGKILL") {
    const Family family(3);
    ProcessTree tree;
    TreeCanceller canceller(tree);
    canceller.begin({}, Clock::now());
    run_until_gone(canceller);
    CHECK(canceller.signals() == std::vector<int>{SIGKILL});
    CHECK(canceller.processes() == 4);
}

TEST_CASE("of a process /proc tells its parent, and a corpse is one only once nothing of it runs") {
    const auto self = read_stat(::getpid());
    REQUIRE(self);
    CHECK(self->parent == ::getppid());
    CHECK_FALSE(self->is_corpse());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    const auto corpse = read_stat(child);
    REQUIRE(corpse);
    CHECK(corpse->is_corpse());
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(read_stat(child));
}

}  // namespace
}  // namespace cancelable
