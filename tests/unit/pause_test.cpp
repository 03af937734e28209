#include "engine/shim/pause_tree.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <string>

#include "engine/process/fd.h"
#include "engine/process/proc.h"

namespace cancelable {
namespace {

using Clock = PauseTree::Clock;

// What all processes of a tree count in while they run: it stands still only if all of them do.
class Counter {
public:
    Counter()
        : count_(static_cast<std::atomic<std::uint64_t>*>(
              ::mmap(nullptr, sizeof *count_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
        REQUIRE(count_ != MAP_FAILED);
    }
    ~Counter() { ::munmap(count_, sizeof *count_); }
    void add() const { count_->fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t value() const { return count_->load(); }
    void wait_for(std::uint64_t more) const {
        for (const std::uint64_t until = value() + more; value() < until;)
            ::sched_yield();
    }

private:
    std::atomic<std::uint64_t>* count_;
};

// A tree below the test, which is a subreaper meanwhile; its destructor ends it.
class Tree {
public:
    explicit Tree(const std::function<void()>& body) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (::fork() == 0) {
            body();
            ::_exit(0);
        }
    }
    ~Tree() {
        for (;;) {
            ProcessTree tree;
            std::vector<pid_t> refused;
            while (tree.grow() > 0)
                tree.signal(SIGSTOP, refused);
            tree.signal(SIGKILL, refused);
            tree.clear();
            pid_t reaped = 0;
            while ((reaped = retry_eintr([] { return ::waitpid(-1, nullptr, WNOHANG); })) > 0) {
            }
            if (reaped < 0) break;
        }
        ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    }
};

void reap() {
    while (retry_eintr([] { return ::waitpid(-1, nullptr, WNOHANG); }) > 0) {
    }
}

// As a shim does it.
void pause_and_wait(PauseTree& pausing) {
    pausing.pause(Clock::now());
    while (pausing.state() == PauseTree::State::pausing) {
        reap();
        if (Clock::now() >= *pausing.due()) pausing.advance(Clock::now());
    }
    REQUIRE(pausing.state() == PauseTree::State::paused);
}

// Held: a time in which anything that ran would have counted leaves the count as it is. A tree that is not
// held may pass for one here, but one that is never fails.
void check_still(const Counter& counter) {
    const std::uint64_t before = counter.value();
    for (int i = 0; i < 200; ++i)
        ::sched_yield();
    CHECK(counter.value() == before);
}

TEST_CASE("a relay that changes its pid all the time is held, round after round") {
    const Counter counter;
    const Tree tree([&] {
        for (int runner = 0; runner < 3; ++runner)
            if (::fork() == 0)
                for (;;) {
                    counter.add();
                    if (::fork() > 0) ::_exit(0);
                }
    });
    PauseTree pausing;
    for (int round = 0; round < 40; ++round) {
        counter.wait_for(20);
        pause_and_wait(pausing);
        check_still(counter);
        pausing.resume();
    }
    counter.wait_for(20);
}

TEST_CASE("a tree that forks whatever it can is held") {
    const Counter counter;
    const Tree tree([&] {
        // Each keeps four children that make children of their own, up to a depth, and start anew.
        const std::function<void(int)> grow = [&](int depth) {
            for (;;) {
                counter.add();
                for (int i = 0; i < 4 && depth > 0; ++i)
                    if (::fork() == 0) {
                        grow(depth - 1);
                        ::_exit(0);
                    }
                if (depth == 0) return;
                while (::waitpid(-1, nullptr, 0) > 0)
                    counter.add();
            }
        };
        grow(3);
    });
    PauseTree pausing;
    for (int round = 0; round < 10; ++round) {
        counter.wait_for(100);
        pause_and_wait(pausing);
        check_still(counter);
        pausing.resume();
    }
    counter.wait_for(100);
}

TEST_CASE(
    "one that is asleep counts as still once it has slept for longer than a fork takes, and is looked at "
    "on") {
    // Asleep until its child goes on, which has stopped.
    const Tree tree([] {
        if (::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr) == 0)
            for (;;)
                ::raise(SIGSTOP);
    });
    for (std::string states; states != "DT"; ::sched_yield()) {
        states.clear();
        ProcessTree processes;
        processes.grow([&](pid_t, const ProcStat& stat, int) { states += stat.state; });
        REQUIRE_FALSE(states.empty());
    }
    PauseTree pausing;
    const Clock::time_point start{};
    pausing.pause(start);
    auto now = start;
    while (pausing.state() == PauseTree::State::pausing) {
        now = *pausing.due();
        pausing.advance(now);
    }
    REQUIRE(pausing.state() == PauseTree::State::paused);
    CHECK(now - start >= std::chrono::seconds(1));
    CHECK(now - start < std::chrono::seconds(2));
    CHECK(pausing.due().has_value());
    pausing.resume();
}

TEST_CASE("what was stopped before a pause is still stopped after it, and what was not goes on") {
    const Counter counter;
    auto pipe = make_pipe();
    REQUIRE(pipe);
    const Tree tree([&] {
        const pid_t stopped = ::fork();
        if (stopped == 0)
            for (;;)
                ::raise(SIGSTOP);
        ::waitpid(stopped, nullptr, WUNTRACED);
        [[maybe_unused]] const auto told = ::write(pipe->write_end.get(), &stopped, sizeof stopped);
        for (;;)
            counter.add();
    });
    pid_t stopped = -1;
    REQUIRE(retry_eintr([&] { return ::read(pipe->read_end.get(), &stopped, sizeof stopped); }) ==
            static_cast<ssize_t>(sizeof stopped));
    PauseTree pausing;
    for (int round = 0; round < 20; ++round) {
        pause_and_wait(pausing);
        check_still(counter);
        pausing.resume();
        counter.wait_for(10);
        const auto stat = read_stat(stopped);
        REQUIRE(stat);
        CHECK(activity_of(stopped, *stat) == Activity::stopped);
    }
}

TEST_CASE("a tree that has died is paused as nothing, and resuming it does nothing") {
    PauseTree pausing;
    pause_and_wait(pausing);
    CHECK(pausing.unstoppable().empty());
    CHECK_FALSE(pausing.due());
    pausing.resume();
    CHECK(pausing.state() == PauseTree::State::running);
}

}  // namespace
}  // namespace cancelable
