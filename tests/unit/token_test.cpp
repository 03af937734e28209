#include "engine/token.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>

#include <csignal>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/unit/thread_state.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

bool readable(int fd) {
    pollfd watched{fd, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
}

TEST_CASE("the first cancelation fixes reason and message for good") {
    CancelationToken token;
    const CancelationToken copy = token;
    CHECK_FALSE(token.is_cancelled());
    CHECK_FALSE(token.reason());
    CHECK(token.message().empty());
    CHECK_FALSE(token.cancelled_at());
    CHECK(token.cancel(CancelationReason::timeout, "took too long"));
    CHECK_FALSE(token.cancel(CancelationReason::manual, "later"));
    CHECK(copy.is_cancelled());
    CHECK(copy.reason() == CancelationReason::timeout);
    CHECK(copy.message() == "took too long");
    const auto age = std::chrono::system_clock::now() - *copy.cancelled_at();
    CHECK(age >= 0s);
    CHECK(age < 10s);
}

TEST_CASE("each reason comes out as it went in, with a message and without") {
    for (unsigned value = 0; value <= static_cast<unsigned>(CancelationReason::error); ++value) {
        const auto reason = static_cast<CancelationReason>(value);
        CancelationToken bare, with_message;
        bare.cancel(reason);
        with_message.cancel(reason, "why");
        CHECK(bare.reason() == reason);
        CHECK(bare.message().empty());
        CHECK(with_message.reason() == reason);
        CHECK(with_message.message() == "why");
    }
}

TEST_CASE("check throws what try_check returns") {
    CancelationToken token;
    CHECK_NOTHROW(token.check());
    CHECK(token.try_check());
    token.cancel(CancelationReason::idle, "nobody there");
    CHECK_THROWS_WITH_AS(token.check(), "cancelled (idle): nobody there", CancelationError);
    const auto outcome = token.try_check();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().reason() == CancelationReason::idle);
    CHECK(outcome.error().message() == "nobody there");
}

TEST_CASE("callbacks run once, in order, on the cancelling thread, before cancel returns") {
    CancelationToken token;
    std::vector<int> calls;
    const auto first = token.on_cancel([&] { calls.push_back(1); });
    const auto second = token.on_cancel([&] { calls.push_back(2); });
    CHECK(calls.empty());
    std::thread([&] { token.cancel(CancelationReason::manual); }).join();
    CHECK(calls == std::vector{1, 2});
    token.cancel(CancelationReason::manual);
    CHECK(calls.size() == 2);
}

TEST_CASE("a callback registered too late runs at once") {
    CancelationToken token;
    token.cancel(CancelationReason::manual);
    int calls = 0;
    const auto late = token.on_cancel([&] { ++calls; });
    CHECK(calls == 1);
}

TEST_CASE("an unregistered callback never runs, and what it holds is freed at once") {
    CancelationToken token;
    const auto held = std::make_shared<int>();
    {
        const auto registration = token.on_cancel([held] { ++*held; });
        CHECK(held.use_count() == 2);
    }
    CHECK(held.use_count() == 1);
    token.cancel(CancelationReason::manual);
    CHECK(*held == 0);
}

TEST_CASE("a callback's exception harms neither the canceller nor the other callbacks") {
    CancelationToken token;
    int calls = 0;
    const auto bad = token.on_cancel([] { throw std::runtime_error("bad"); });
    const auto good = token.on_cancel([&] { ++calls; });
    CHECK(token.cancel(CancelationReason::manual));
    const auto late = token.on_cancel([] { throw std::runtime_error("bad"); });
    CHECK(calls == 1);
}

TEST_CASE("a callback may destroy its own registration, and another's") {
    CancelationToken token;
    int calls = 0;
    std::optional<CancelationToken::Registration> own, others;
    own.emplace(token.on_cancel([&] {
        ++calls;
        own.reset();
        others.reset();
    }));
    others.emplace(token.on_cancel([&] { ++calls; }));
    token.cancel(CancelationReason::manual);
    CHECK(calls == 1);
}

TEST_CASE("what a callback holds is free once it has run, though its registration lives on") {
    CancelationToken token;
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = held;
    const auto registration = token.on_cancel([held] {});
    held.reset();
    CHECK_FALSE(watched.expired());
    token.cancel(CancelationReason::manual);
    CHECK(watched.expired());
}

TEST_CASE("unregistering waits for the callback that another thread is running") {
    CancelationToken token;
    std::latch started(1), unregistering(1);
    std::atomic<bool> finished = false;
    const pid_t me = ::gettid();
    std::optional<CancelationToken::Registration> registration(token.on_cancel([&] {
        started.count_down();
        unregistering.wait();
        testing::wait_until_asleep(me);
        finished = true;
    }));
    std::thread canceller([&] { token.cancel(CancelationReason::manual); });
    started.wait();
    unregistering.count_down();
    registration.reset();
    CHECK(finished);
    canceller.join();
}

std::atomic<int> signals_taken = 0;

TEST_CASE("a wait goes on after a signal that did not cancel its token") {
    struct sigaction action{};
    struct sigaction before{};
    action.sa_handler = [](int) { ++signals_taken; };  // without SA_RESTART
    REQUIRE(::sigaction(SIGUSR2, &action, &before) == 0);
    for (const bool for_ever : {true, false}) {
        CAPTURE(for_ever);
        CancelationToken token;
        bool cancelled = false;
        std::atomic<pid_t> tid = 0;
        std::thread waiter([&] {
            tid = ::gettid();
            if (for_ever) token.wait();
            cancelled = for_ever ? token.is_cancelled() : token.wait_for(1h);
        });
        while (tid == 0)
            std::this_thread::yield();
        testing::wait_until_asleep(tid);
        const int taken_before = signals_taken;
        ::pthread_kill(waiter.native_handle(), SIGUSR2);
        while (signals_taken == taken_before)
            std::this_thread::yield();
        testing::wait_until_asleep(tid);
        token.cancel(CancelationReason::manual);
        waiter.join();
        CHECK(cancelled);
    }
    ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_CASE("callbacks may cancel the token again, register on it and ask it") {
    CancelationToken token;
    int calls = 0;
    const auto registration = token.on_cancel([&] {
        CHECK_FALSE(token.cancel(CancelationReason::error));
        CHECK(token.reason() == CancelationReason::manual);
        const auto inner = token.on_cancel([&] { ++calls; });
    });
    token.cancel(CancelationReason::manual);
    CHECK(calls == 1);
}

TEST_CASE("a registration outlives its token") {
    std::optional<CancelationToken::Registration> registration;
    {
        const CancelationToken token;
        registration.emplace(token.on_cancel([] {}));
    }
    registration.reset();
}

TEST_CASE("waiting threads wake on a cancelation, and at their deadline without one") {
    CancelationToken token;
    CHECK_FALSE(token.wait_for(1ms));
    CHECK_FALSE(token.wait_for(-1s));
    std::vector<std::thread> waiters;
    for (int i = 0; i < 4; ++i)
        waiters.emplace_back([&, i] {
            if (i % 2 == 0)
                token.wait();
            else
                CHECK(token.wait_for(std::chrono::hours(24 * 365 * 200)));
        });
    token.cancel(CancelationReason::manual);
    for (auto& waiter : waiters)
        waiter.join();
    CHECK(token.wait_for(0s));
}

TEST_CASE("a wait for longer than the clock can tell is one without a deadline") {
    CancelationToken token;
    std::latch waiting(1);
    bool cancelled = false;
    std::thread waiter([&] {
        waiting.count_down();
        cancelled = token.wait_for(std::chrono::nanoseconds::max());
    });
    waiting.wait();
    std::this_thread::yield();
    token.cancel(CancelationReason::manual);
    waiter.join();
    CHECK(cancelled);
    CHECK_FALSE(CancelationToken().wait_for(std::chrono::nanoseconds::min()));
}

TEST_CASE("from a signal: latched at once, callbacks and children at the next deliver") {
    CancelationToken token, child;
    child.link(token, true);
    int calls = 0;
    const auto registration = token.on_cancel([&] { ++calls; });
    const int fd = token.wake_fd().value();
    CHECK_FALSE(readable(fd));
    CHECK(token.cancel_from_signal(SIGINT));
    CHECK_FALSE(token.cancel_from_signal(SIGTERM));
    CHECK(token.is_cancelled());
    CHECK(token.reason() == CancelationReason::signal);
    CHECK(token.signal_number() == SIGINT);
    CHECK(token.message() == "SIGINT");
    CHECK(readable(fd));
    CHECK(calls == 0);
    CHECK_FALSE(child.is_cancelled());
    token.deliver();
    token.deliver();
    CHECK(calls == 1);
    CHECK(child.signal_number() == SIGINT);
    CHECK(readable(fd));
}

TEST_CASE("the wake descriptor is readable too where the cancelation came first, or by another way") {
    CancelationToken early, late;
    early.cancel_from_signal(SIGTERM);
    CHECK(readable(early.wake_fd().value()));
    const int fd = late.wake_fd().value();
    CHECK(late.wake_fd().value() == fd);
    late.cancel(CancelationReason::manual);
    CHECK(readable(fd));
}

TEST_CASE("a token has one wake descriptor, whoever asks first, and closes it in the end") {
    for (int round = 0; round < 100; ++round) {
        int first = -1, second = -1;
        {
            const CancelationToken token;
            std::latch go(2);
            std::thread other([&] {
                go.arrive_and_wait();
                first = token.wake_fd().value_or(-1);
            });
            go.arrive_and_wait();
            second = token.wake_fd().value_or(-1);
            other.join();
            CHECK(token.wake_fd() == first);
            CHECK(readable(first) == false);
        }
        REQUIRE(first >= 0);
        REQUIRE(first == second);
        REQUIRE(::fcntl(first, F_GETFD) == -1);
    }
}

TEST_CASE("a cancelation runs down a tree of links, each with its reason") {
    CancelationToken root, kept, plain, leaf;
    kept.link(root, true);
    plain.link(root);
    leaf.link(plain);
    bool whole = false;
    const auto registration = root.on_cancel([&] { whole = leaf.is_cancelled(); });
    root.cancel(CancelationReason::shutdown, "going down");
    CHECK(whole);
    CHECK(kept.reason() == CancelationReason::shutdown);
    CHECK(plain.reason() == CancelationReason::parent);
    CHECK(leaf.reason() == CancelationReason::parent);
    CHECK(leaf.message() == "going down");
}

TEST_CASE(
    "a child's cancelation leaves its parent alone, and linking to a cancelled parent cancels at once") {
    CancelationToken parent, first, second;
    first.link(parent);
    first.cancel(CancelationReason::manual);
    CHECK_FALSE(parent.is_cancelled());
    parent.cancel(CancelationReason::manual);
    second.link(parent);
    CHECK(second.is_cancelled());
    CHECK(first.reason() == CancelationReason::manual);
}

TEST_CASE("a child that keeps no reason of its parent's has no signal of it either") {
    CancelationToken parent, child, faithful;
    child.link(parent);
    faithful.link(parent, true);
    parent.cancel_from_signal(SIGINT);
    parent.deliver();
    CHECK(child.reason() == CancelationReason::parent);
    CHECK(child.signal_number() == 0);
    CHECK(child.message() == "SIGINT");
    CHECK(faithful.reason() == CancelationReason::signal);
    CHECK(faithful.signal_number() == SIGINT);
}

TEST_CASE("links keep nothing alive, in neither direction") {
    const auto witness = std::make_shared<int>();
    CancelationToken child;
    std::optional<CancelationToken::Registration> registration;
    {
        CancelationToken parent;
        registration.emplace(parent.on_cancel([witness] {}));
        child.link(parent);
        for (int i = 0; i < 100; ++i) {
            CancelationToken brief;
            brief.link(parent);
        }
    }
    registration.reset();
    CHECK(witness.use_count() == 1);
    CHECK_FALSE(child.is_cancelled());
}

TEST_CASE("children that are cancelled or gone leave nothing behind in their parent") {
    CancelationToken parent;
    CancelationToken lasting;
    const auto in_use = [] {
        return ::mallinfo2().uordblks;
    };  // 0 under a sanitizer, which counts for itself
    const auto before = in_use();
    for (int i = 0; i < 20'000; ++i) {
        CancelationToken gone, cancelled, brief_parent;
        gone.link(parent);
        cancelled.link(parent);
        cancelled.cancel(CancelationReason::manual);
        lasting.link(brief_parent);
    }
    CHECK(in_use() < before + 64 * 1024);
}

TEST_CASE("circles and a link to itself are harmless") {
    CancelationToken a, b;
    a.link(a);
    a.link(b);
    b.link(a);
    b.cancel(CancelationReason::manual);
    CHECK(a.is_cancelled());
    CHECK(a.reason() == CancelationReason::parent);
}

TEST_CASE("a chain of a hundred thousand links is cancelled, and freed, without recursion") {
    CancelationToken root;
    std::vector<CancelationToken> chain{root};
    for (int i = 0; i < 100'000; ++i) {
        CancelationToken next;
        next.link(chain.back());
        chain.push_back(next);
    }
    root.cancel(CancelationReason::manual);
    CHECK(chain.back().is_cancelled());
}

TEST_CASE("a std::stop_token cancels the token, and the token stops a std::stop_token") {
    std::stop_source source;
    CancelationToken token;
    token.link(source.get_token(), CancelationReason::condition);
    const std::stop_token stop = token.stop_token();
    bool stopped = false;
    const std::stop_callback on_stop(stop, [&] { stopped = true; });
    CHECK_FALSE(token.is_cancelled());
    source.request_stop();
    CHECK(token.reason() == CancelationReason::condition);
    CHECK(stopped);
    CHECK(token.stop_token().stop_requested());

    CancelationToken late;
    late.link(source.get_token());
    CHECK(late.is_cancelled());
    CancelationToken after;
    after.cancel(CancelationReason::manual);
    CHECK(after.stop_token().stop_requested());
}

TEST_CASE("a stop source that outlives the token harms nobody") {
    std::stop_source source;
    {
        CancelationToken token;
        token.link(source.get_token());
    }
    CHECK(source.request_stop());
}

TEST_CASE("of many threads that cancel, one wins") {
    for (int round = 0; round < 200; ++round) {
        CancelationToken token;
        std::atomic<int> winners = 0;
        std::latch go(4);
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                go.arrive_and_wait();
                if (i == 0 ? token.cancel_from_signal(SIGINT) : token.cancel(CancelationReason::manual, "x"))
                    ++winners;
            });
        for (auto& thread : threads)
            thread.join();
        CHECK(winners == 1);
    }
}

}  // namespace
}  // namespace cancelable
