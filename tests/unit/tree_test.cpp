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

// Children of the test, which is a subreaper meanwhile, and theirs. All do to SIGTERM what they are told.
class Family {
public:
    explicit Family(int width, sighandler_t to_sigterm = SIG_DFL) {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        add(width, to_sigterm);
    }
    // A child that has `width` children: up when this returns.
    pid_t add(int width, sighandler_t to_sigterm = SIG_DFL) {
        auto ready = make_pipe();
        REQUIRE(ready);
        const pid_t child = ::fork();
        if (child == 0) {
            ::signal(SIGTERM, to_sigterm);
            for (int i = 0; i < width; ++i)
                if (::fork() == 0) stay(ready->write_end.get());
            stay(ready->write_end.get());
        }
        ready->write_end.reset();
        char byte = 0;
        for (int i = 0; i <= width; ++i)
            REQUIRE(retry_eintr([&] { return ::read(ready->read_end.get(), &byte, 1); }) == 1);
        return child;
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
};

// As a shim does it: advance when due, reap, until ECHILD.
void run_until_gone(TreeCanceller& canceller) {
    for (;;) {
        const pid_t reaped = retry_eintr([] { return ::waitpid(-1, nullptr, WNOHANG); });
        if (reaped < 0) return;
        if (reaped > 0) canceller.saw_death(Clock::now());
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
    const Family family(4, SIG_IGN);
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
    for (int round = 0; round < 10; ++round)
        canceller.advance(*canceller.due());
    const auto next_round = *canceller.due();
    canceller.saw_death(next_round - 100ms);
    CHECK(canceller.due() == next_round);
}

// The signal that has ended a child, or ends it now.
int end_of(pid_t child) {
    REQUIRE(::kill(child, SIGUSR1) == 0);
    int status = 0;
    REQUIRE(retry_eintr([&] { return ::waitpid(child, &status, 0); }) == child);
    return WTERMSIG(status);
}

// A canceller at a time of the test's own.
struct Cancelling {
    void begin(const StopPlan& plan) { canceller.begin(plan, now); }
    // Something dies, and all is done that follows from it.
    void see_death() {
        canceller.saw_death(now);
        now += 1s;
        canceller.advance(now);
    }
    ProcessTree tree;
    TreeCanceller canceller{tree};
    Clock::time_point now = Clock::now();
};

void catch_it(int) {}

TEST_CASE("who comes late is asked once a death was seen, and nobody lives who was asked and may answer") {
    Family family(0, SIG_IGN);
    const pid_t answering = family.add(0, catch_it);
    Cancelling cancelling;
    cancelling.begin({{SIGTERM, 1h}});
    const pid_t answer = family.add(0);
    cancelling.see_death();
    CHECK(end_of(answer) == SIGUSR1);
    CHECK(end_of(answering) == SIGUSR1);
    const pid_t late = family.add(0);
    const pid_t late_and_answering = family.add(0, catch_it);
    CHECK(cancelling.canceller.due() > cancelling.now + 1min);
    cancelling.see_death();
    CHECK(end_of(late) == SIGTERM);
    const pid_t second_answer = family.add(0);
    cancelling.see_death();
    CHECK(end_of(second_answer) == SIGUSR1);
    CHECK(end_of(late_and_answering) == SIGUSR1);
}

int told = -1;

TEST_CASE("who could answer when it was asked may be answering, although it has no handler any more") {
    Family family(0, SIG_IGN);
    auto pipe = make_pipe();
    REQUIRE(pipe);
    told = pipe->write_end.get();
    family.add(0, [](int) {
        ::signal(SIGTERM, SIG_DFL);
        [[maybe_unused]] const auto written = ::write(told, "x", 1);
    });
    Cancelling cancelling;
    cancelling.begin({{SIGTERM, 1h}});
    char byte = 0;
    REQUIRE(retry_eintr([&] { return ::read(pipe->read_end.get(), &byte, 1); }) == 1);
    const pid_t answer = family.add(0);
    cancelling.see_death();
    CHECK(end_of(answer) == SIGUSR1);
}

TEST_CASE("deaths of a moment are looked at together") {
    const Family family(0, SIG_IGN);
    ProcessTree tree;
    TreeCanceller canceller(tree);
    const auto start = Clock::now();
    canceller.begin({{SIGTERM, 1s}}, start);
    int looks = 0;
    for (auto now = start; now < start + 1s; now += 1ms) {
        canceller.saw_death(now);
        if (canceller.due() > now) continue;
        ++looks;
        canceller.advance(now);
    }
    CHECK(looks > 0);
    CHECK(looks < 10);
}

TEST_CASE("each step asks everybody anew, and one that is hurried looks on") {
    Family family(0);
    const pid_t asked_twice = family.add(0, SIG_IGN);
    Cancelling cancelling;
    cancelling.begin({{SIGTERM, 1min}, {SIGUSR2, 1h}});
    const pid_t asked_later = family.add(0);
    cancelling.now += 1min;
    cancelling.canceller.advance(cancelling.now);
    CHECK(cancelling.canceller.signals() == std::vector<int>{SIGTERM, SIGUSR2});
    CHECK(end_of(asked_twice) == SIGUSR2);
    CHECK(end_of(asked_later) == SIGUSR2);
    cancelling.begin({{SIGTERM, 1min}});
    CHECK(cancelling.canceller.due() == cancelling.now + 1min);
    const pid_t late = family.add(0);
    cancelling.see_death();
    CHECK(end_of(late) == SIGUSR2);
}

TEST_CASE("a later request hurries, and never slows down") {
    const Family family(2, SIG_IGN);
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

TEST_CASE("of a process /proc tells which signals it catches or blocks") {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    const auto answers = [](int number) { return read_stat(::getpid())->may_answer(number); };
    CHECK_FALSE(answers(SIGUSR1));
    CHECK_FALSE(answers(SIGUSR2));
    ::signal(SIGUSR1, [](int) {});
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    CHECK(answers(SIGUSR1));
    CHECK(answers(SIGUSR2));
    CHECK(answers(SIGRTMIN));  // /proc/<pid>/stat does not tell.
    ::signal(SIGUSR1, SIG_IGN);
    CHECK_FALSE(answers(SIGUSR1));
    ::signal(SIGUSR1, SIG_DFL);
    ::pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
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
