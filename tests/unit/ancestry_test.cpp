#include "engine/ancestry.h"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <thread>
#include <vector>

#include "engine/process/fd.h"
#include "engine/process/pidfd.h"
#include "engine/process/proc.h"

namespace cancelable {
namespace {

// A child of the test that stands in for a shim, and what `body` makes below it: processes that tell their
// pids and stay. All end with the test.
class StandIn {
public:
    // `body` runs in the stand-in; `tell` in whichever process it makes.
    using Tell = std::function<void()>;
    StandIn(int told, const std::function<void(const Tell& tell)>& body) {
        auto pipe = make_pipe();
        REQUIRE(pipe);
        top_ = ::fork();
        if (top_ == 0) {
            ::setpgid(0, 0);
            ::prctl(PR_SET_CHILD_SUBREAPER, 1);
            body([fd = pipe->write_end.get()] {
                const pid_t self = ::getpid();
                [[maybe_unused]] const auto wrote = ::write(fd, &self, sizeof self);
            });
            stay();
        }
        pids_.resize(static_cast<std::size_t>(told));
        for (pid_t& pid : pids_)
            REQUIRE(retry_eintr([&] { return ::read(pipe->read_end.get(), &pid, sizeof pid); }) ==
                    static_cast<ssize_t>(sizeof pid));
    }
    ~StandIn() {
        // None of them has left the group, and the leader is not reaped yet.
        ::kill(-top_, SIGKILL);
        ::waitpid(top_, nullptr, 0);
    }
    [[noreturn]] static void stay() {
        ::alarm(60);
        for (;;)
            ::pause();
    }
    pid_t top() const { return top_; }
    pid_t told(std::size_t index = 0) const { return pids_[index]; }

private:
    pid_t top_ = -1;
    std::vector<pid_t> pids_;
};

// Below the stand-in so many processes, each the parent of the next; all tell.
auto line_of(int count) {
    return [count](const StandIn::Tell& tell) {
        for (int i = 0; i < count; ++i) {
            const bool is_parent = ::fork() != 0;
            if (is_parent && i == 0) return;
            if (is_parent) StandIn::stay();
            tell();
        }
        StandIn::stay();
    };
}

OperationId operation_of(Ancestry& ancestry, pid_t pid) {
    const UniqueFd pidfd = open_pidfd(pid);
    const auto found = ancestry.operation_of(pid, pidfd.get());
    REQUIRE(found);
    return *found;
}

TEST_CASE("a process is part of the operation whose shim is the nearest above it") {
    StandIn outer(2, line_of(2));
    Ancestry ancestry;
    CHECK(operation_of(ancestry, outer.told(1)) == 0);
    ancestry.add(7, outer.top());
    CHECK(operation_of(ancestry, outer.told(0)) == 7);
    CHECK(operation_of(ancestry, outer.told(1)) == 7);
    ancestry.add(8, outer.told(0));
    CHECK(operation_of(ancestry, outer.told(1)) == 8);
    ancestry.remove(8);
    CHECK(operation_of(ancestry, outer.told(1)) == 7);
    CHECK(operation_of(ancestry, ::getpid()) == 0);
}

TEST_CASE("a process that has double-forked is part of the operation all the same") {
    StandIn shim(1, [](const auto& tell) {
        const pid_t top = ::getpid();
        if (::fork() != 0) return;
        if (::fork() != 0) ::_exit(0);
        while (::getppid() != top)
            ::sched_yield();
        tell();
        StandIn::stay();
    });
    Ancestry ancestry;
    ancestry.add(7, shim.top());
    CHECK(operation_of(ancestry, shim.told()) == 7);
}

TEST_CASE("a shim that is told by another start time is somebody else under its number") {
    StandIn shim(1, line_of(1));
    const auto stat = read_stat(shim.top());
    REQUIRE(stat);
    Ancestry ancestry;
    ancestry.add(7, shim.top(), stat->start_time + 1);
    CHECK(operation_of(ancestry, shim.told()) == 0);
    ancestry.add(7, shim.top(), stat->start_time);
    CHECK(operation_of(ancestry, shim.told()) == 7);
}

TEST_CASE("of a process that is dead and reaped nobody says what it was part of") {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    const UniqueFd pidfd = open_pidfd(child);
    Ancestry ancestry;
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    CHECK(ancestry.operation_of(child, pidfd.get()) == 0);  // Dead, and still where it was.
    ::waitpid(child, nullptr, 0);
    const auto found = ancestry.operation_of(child, pidfd.get());
    REQUIRE_FALSE(found);
    CHECK(found.error().code == ErrorCode::not_found);
}

TEST_CASE("the kernel tells the parent of a process by its pidfd, where it can, until it is reaped") {
    const UniqueFd self = open_pidfd(::getpid());
    const bool is_able = pidfd_parent(self.get()).has_value();
    if (is_able) CHECK(pidfd_parent(self.get()) == ::getppid());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    const UniqueFd pidfd = open_pidfd(child);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    if (is_able) CHECK(pidfd_parent(pidfd.get()) == ::getpid());
    ::waitpid(child, nullptr, 0);
    CHECK_FALSE(pidfd_parent(pidfd.get()));
}

TEST_CASE("a number that has passed to another operation is not forgotten with the first") {
    StandIn shim(1, line_of(1));
    Ancestry ancestry;
    ancestry.add(7, shim.top());
    ancestry.add(8, shim.top());
    ancestry.remove(7);
    CHECK(operation_of(ancestry, shim.told()) == 8);
}

TEST_CASE("who was asked for before its shim was known is part of the operation once it is") {
    StandIn shim(2, line_of(2));
    const auto stat = read_stat(shim.top());
    REQUIRE(stat);
    Ancestry ancestry;
    CHECK(operation_of(ancestry, shim.told(1)) == 0);
    CHECK(operation_of(ancestry, shim.told(0)) == 0);
    ancestry.add(7, shim.top(), stat->start_time);
    CHECK(operation_of(ancestry, shim.told(0)) == 7);
    CHECK(operation_of(ancestry, shim.told(1)) == 7);
}

TEST_CASE("who is remembered no more is asked for anew, and so are all who were below") {
    StandIn shim(3, line_of(3));
    const auto stat = read_stat(shim.top());
    REQUIRE(stat);
    Ancestry ancestry(4);
    CHECK(operation_of(ancestry, shim.told(0)) == 0);  // and two above it
    CHECK(operation_of(ancestry, shim.told(2)) == 0);  // and one between, which is one too many
    ancestry.add(7, shim.top(), stat->start_time);
    for (const std::size_t index : {0, 1, 2})
        CHECK(operation_of(ancestry, shim.told(index)) == 7);
}

TEST_CASE("a process that is younger than those above it that are known is where they are") {
    Ancestry ancestry;
    CHECK(operation_of(ancestry, ::getpid()) == 0);
    StandIn outside(1, line_of(1));
    CHECK(operation_of(ancestry, outside.told()) == 0);
    StandIn shim(1, line_of(1));
    ancestry.add(7, shim.top());
    CHECK(operation_of(ancestry, shim.told()) == 7);
    CHECK(operation_of(ancestry, outside.told()) == 0);
}

bool is_reaped(const UniqueFd& pidfd) {
    return pidfd_send_signal(pidfd.get(), 0) != 0;
}

TEST_CASE("a parent that dies while the chain is read hides nobody") {
    StandIn shim(1, [](const auto& tell) {
        const pid_t top = ::getpid();
        if (::fork() != 0) {
            for (;;)
                ::waitpid(-1, nullptr, 0);
        }
        tell();
        // One that dies, and below it one that falls to the stand-in by that.
        for (;;) {
            const pid_t middle = ::fork();
            if (middle == 0 && ::fork() == 0)
                while (::getppid() != top)
                    ::sched_yield();
            if (middle == 0) ::_exit(0);
            ::waitpid(middle, nullptr, 0);
        }
    });
    Ancestry ancestry;
    ancestry.add(7, shim.top());
    std::size_t found = 0;
    std::vector<pid_t> below;
    for (int round = 0; round < 100'000 && found < 300; ++round) {
        below.clear();
        append_children(shim.told(), 1, below);
        if (below.empty()) continue;
        const pid_t middle = below.front();
        const UniqueFd middle_pidfd = open_pidfd(middle);
        below.clear();
        append_children(middle, 1, below);
        if (below.empty() || !middle_pidfd) continue;
        const pid_t pid = below.front();
        const UniqueFd pidfd = open_pidfd(pid);
        const auto stat = read_stat(pid);
        const auto middle_stat = read_stat(middle);
        const bool is_below = pidfd && stat && middle_stat && stat->parent == middle &&
                              middle_stat->parent == shim.told() && !is_reaped(middle_pidfd);
        if (!is_below) continue;
        const auto operation = ancestry.operation_of(pid, pidfd.get());
        if (!operation && operation.error().code == ErrorCode::not_found) continue;
        REQUIRE(operation);
        REQUIRE(*operation == 7);
        ++found;
    }
    CHECK(found > 0);
}

}  // namespace
}  // namespace cancelable
