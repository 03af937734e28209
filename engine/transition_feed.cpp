#include "engine/transition_feed.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace cancelable {

struct TransitionFeed::Listener {
    std::function<void(const Transition&)> call;
    bool ended = false;  // guarded by the feed's mutex
};

struct TransitionFeed::State {
    using Listeners = std::vector<std::shared_ptr<Listener>>;

    struct Item {
        Transition transition;
        std::shared_ptr<const Listeners> listeners;  // those who were there when it was published
    };

    void run(const Item& item, std::unique_lock<std::mutex>& lock) noexcept {
        for (const std::shared_ptr<Listener>& listener : *item.listeners) {
            if (listener->ended) continue;
            running = listener.get();
            lock.unlock();
            try {
                listener->call(item.transition);
            } catch (...) {  // NOLINT(bugprone-empty-catch): dropped, as the class says
            }
            lock.lock();
            running = nullptr;
            done.notify_all();
        }
    }

    std::atomic<bool> anyone{false};
    std::mutex mutex;
    std::shared_ptr<const Listeners> listeners = std::make_shared<Listeners>();
    std::deque<Item> queue;
    bool delivering = false;
    std::thread::id deliverer;
    const Listener* running = nullptr;
    std::condition_variable done;
};

TransitionFeed::TransitionFeed() : state_(std::make_shared<State>()) {}
TransitionFeed::~TransitionFeed() = default;

TransitionFeed::Subscription TransitionFeed::subscribe(std::function<void(const Transition&)> listener) {
    auto added = std::make_shared<Listener>();
    added->call = std::move(listener);
    const std::lock_guard lock(state_->mutex);
    auto listeners = std::make_shared<State::Listeners>(*state_->listeners);
    listeners->push_back(added);
    state_->listeners = std::move(listeners);
    state_->anyone = true;
    return {state_, std::move(added)};
}

void TransitionFeed::publish(const Snapshot& before, const Snapshot& after, std::uint64_t revision) {
    if (!state_->anyone.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(state_->mutex);
    if (!state_->listeners->empty()) state_->queue.push_back({{before, after, revision}, state_->listeners});
}

void TransitionFeed::deliver() noexcept {
    if (!state_->anyone.load(std::memory_order_acquire)) return;
    const std::shared_ptr<State> state = state_;  // a listener may destroy the feed
    std::unique_lock lock(state->mutex);
    if (state->delivering) return;
    state->delivering = true;
    state->deliverer = std::this_thread::get_id();
    while (!state->queue.empty()) {
        std::optional<State::Item> item(std::move(state->queue.front()));
        state->queue.pop_front();
        state->run(*item, lock);
        // A listener that has left may go with it, and with that what it captured, which is anybody's code.
        lock.unlock();
        item.reset();
        lock.lock();
    }
    state->delivering = false;
}

TransitionFeed::Subscription::Subscription() noexcept = default;
TransitionFeed::Subscription::Subscription(std::weak_ptr<State> feed,
                                           std::shared_ptr<Listener> listener) noexcept
    : feed_(std::move(feed)), listener_(std::move(listener)) {}
TransitionFeed::Subscription::Subscription(Subscription&&) noexcept = default;

TransitionFeed::Subscription& TransitionFeed::Subscription::operator=(Subscription&& other) noexcept {
    Subscription leaving(std::move(other));
    feed_.swap(leaving.feed_);
    listener_.swap(leaving.listener_);
    return *this;
}

TransitionFeed::Subscription::~Subscription() {
    const std::shared_ptr<State> feed = feed_.lock();
    if (!listener_ || !feed) return;
    std::deque<State::Item> unheard;  // goes after the lock
    std::unique_lock lock(feed->mutex);
    listener_->ended = true;
    auto left = std::make_shared<State::Listeners>(*feed->listeners);
    std::erase(*left, listener_);
    feed->anyone = !left->empty();
    if (left->empty()) unheard.swap(feed->queue);
    feed->listeners = std::move(left);
    if (feed->deliverer == std::this_thread::get_id()) return;
    feed->done.wait(lock, [&] { return feed->running != listener_.get(); });
}

}  // namespace cancelable
