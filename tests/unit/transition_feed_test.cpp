#include "engine/transition_feed.h"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "tests/unit/thread_state.h"

namespace cancelable {
namespace {

Snapshot snapshot(OperationId id) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    Operation operation;
    operation.spec = std::move(spec);
    return std::make_shared<const Operation>(std::move(operation));
}

using Subscription = TransitionFeed::Subscription;

TEST_CASE("a listener hears what is published while it is subscribed, once it is delivered") {
    TransitionFeed feed;
    feed.publish(nullptr, snapshot(1), 1);
    std::vector<std::uint64_t> heard;
    std::optional<Subscription> subscription(
        feed.subscribe([&](const Transition& step) { heard.push_back(step.revision); }));
    feed.publish(nullptr, snapshot(2), 2);
    feed.publish(nullptr, snapshot(3), 3);
    CHECK(heard.empty());
    feed.deliver();
    CHECK(heard == std::vector<std::uint64_t>{2, 3});
    feed.deliver();
    subscription.reset();
    feed.publish(nullptr, snapshot(4), 4);
    feed.deliver();
    CHECK(heard.size() == 2);
}

TEST_CASE("a listener that has left hears nothing more, also not what was published before") {
    TransitionFeed feed;
    std::optional<Subscription> second;
    const auto first = feed.subscribe([&](const Transition&) { second.reset(); });
    int heard = 0;
    second.emplace(feed.subscribe([&](const Transition&) { ++heard; }));
    feed.publish(nullptr, snapshot(1), 1);
    feed.publish(nullptr, snapshot(2), 2);
    feed.deliver();
    CHECK(heard == 0);
}

TEST_CASE("leaving waits for the listener that another thread is running, and for no other") {
    TransitionFeed feed;
    std::latch started(1), leaving(1);
    std::atomic<bool> finished = false;
    std::optional<Subscription> idle(feed.subscribe([](const Transition&) {}));
    const pid_t me = ::gettid();
    std::optional<Subscription> busy(feed.subscribe([&](const Transition&) {
        started.count_down();
        leaving.wait();
        testing::wait_until_asleep(me);
        finished = true;
    }));
    feed.publish(nullptr, snapshot(1), 1);
    std::thread deliverer([&] { feed.deliver(); });
    started.wait();
    idle.reset();
    CHECK_FALSE(finished);
    leaving.count_down();
    busy.reset();
    CHECK(finished);
    deliverer.join();
}

TEST_CASE("a listener that rests may leave on any thread") {
    TransitionFeed feed;
    std::optional<Subscription> subscription(feed.subscribe([](const Transition&) {}));
    feed.publish(nullptr, snapshot(1), 1);
    feed.deliver();
    std::thread([&] { subscription.reset(); }).join();
    CHECK_FALSE(subscription);
}

TEST_CASE("what nobody is left to hear is not kept") {
    TransitionFeed feed;
    std::optional<Subscription> subscription(feed.subscribe([](const Transition&) {}));
    Snapshot published = snapshot(1);
    const std::weak_ptr<const Operation> watched = published;
    feed.publish(nullptr, published, 1);
    published.reset();
    CHECK_FALSE(watched.expired());
    subscription.reset();
    CHECK(watched.expired());
}

TEST_CASE("what a listener held is free once it has left, and been heard to the end") {
    TransitionFeed feed;
    auto held = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = held;
    std::optional<Subscription> subscription;
    subscription.emplace(feed.subscribe([&subscription, held](const Transition&) { subscription.reset(); }));
    held.reset();
    feed.publish(nullptr, snapshot(1), 1);
    feed.deliver();
    CHECK(watched.expired());
}

TEST_CASE("what a listener held may use the feed when it goes") {
    struct Subscriber {
        explicit Subscriber(TransitionFeed& used) : feed(used) {}
        ~Subscriber() {
            (void)feed.subscribe([](const Transition&) {});
        }
        TransitionFeed& feed;
    };
    TransitionFeed feed;
    auto held = std::make_shared<Subscriber>(feed);
    const std::weak_ptr<Subscriber> watched = held;
    std::optional<Subscription> subscription;
    subscription.emplace(feed.subscribe([&subscription, held](const Transition&) { subscription.reset(); }));
    held.reset();
    feed.publish(nullptr, snapshot(1), 1);
    feed.deliver();
    CHECK(watched.expired());
}

TEST_CASE("a listener may destroy the feed") {
    auto feed = std::make_unique<TransitionFeed>();
    int heard = 0;
    const auto subscription = feed->subscribe([&](const Transition&) {
        ++heard;
        feed.reset();
    });
    feed->publish(nullptr, snapshot(1), 1);
    feed->deliver();
    CHECK(heard == 1);
    CHECK_FALSE(feed);
}

TEST_CASE("one thread delivers, and takes what others publish meanwhile") {
    TransitionFeed feed;
    std::latch started(1), published(1);
    std::vector<std::pair<std::uint64_t, std::thread::id>> heard;
    const auto subscription = feed.subscribe([&](const Transition& step) {
        heard.emplace_back(step.revision, std::this_thread::get_id());
        if (step.revision != 1) return;
        started.count_down();
        published.wait();
    });
    feed.publish(nullptr, snapshot(1), 1);
    std::thread deliverer([&] { feed.deliver(); });
    started.wait();
    feed.publish(nullptr, snapshot(2), 2);
    feed.deliver();  // somebody is at it: returns at once
    const auto other = deliverer.get_id();
    published.count_down();
    deliverer.join();
    CHECK(heard == std::vector<std::pair<std::uint64_t, std::thread::id>>{{1, other}, {2, other}});
}

}  // namespace
}  // namespace cancelable
