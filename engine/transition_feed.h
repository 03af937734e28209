#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/operation.h"

namespace cancelable {

// One step in an operation's life, as listeners get it.
struct Transition {
    Snapshot before;             // null: just registered
    Snapshot after;              // never null
    std::uint64_t revision = 0;  // of the registry, with this step
};

// Brings transitions to listeners, in the order in which they were published, never two at once.
//
// Publishing only enqueues. The first thread that then calls deliver() works the queue off, while others
// leave theirs to it: so a listener may change operations, subscribe and unsubscribe, and neither recursion
// nor disorder comes of it. What a listener throws is dropped.
class TransitionFeed {
    struct State;
    struct Listener;

public:
    TransitionFeed();
    ~TransitionFeed();
    TransitionFeed(const TransitionFeed&) = delete;
    TransitionFeed& operator=(const TransitionFeed&) = delete;

    // RAII: destroying it ends the subscription, waiting for the listener where another thread is running it
    // just now. It may be destroyed inside the listener, and may outlive the feed.
    class Subscription {
    public:
        Subscription() noexcept;
        Subscription(Subscription&&) noexcept;
        Subscription& operator=(Subscription&&) noexcept;
        ~Subscription();

    private:
        friend class TransitionFeed;
        Subscription(std::weak_ptr<State> feed, std::shared_ptr<Listener> listener) noexcept;
        std::weak_ptr<State> feed_;
        std::shared_ptr<Listener> listener_;
    };

    // Gets everything that is published from now on.
    [[nodiscard]] Subscription subscribe(std::function<void(const Transition&)> listener);

    // Cheap where nobody listens.
    void publish(const Snapshot& before, const Snapshot& after, std::uint64_t revision);

    // Runs the listeners, so not under a lock that they may want.
    void deliver() noexcept;

private:
    std::shared_ptr<State> state_;
};

}  // namespace cancelable
