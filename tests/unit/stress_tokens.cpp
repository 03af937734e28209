#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "engine/token.h"
#include "tests/unit/stress.h"

namespace cancelable {
namespace {

constexpr std::size_t kSlots = 48;

struct Shared {
    CancelationToken token;
    std::atomic<int> wins{0};
};

// Tokens that all threads share. The lock is held for a copy only: what is done to a token is done unlocked.
class Slots {
public:
    Slots() {
        for (std::size_t index = 0; index < kSlots; ++index)
            renew(index);
    }
    std::shared_ptr<Shared> get(std::size_t index) {
        const std::lock_guard lock(mutexes_[index]);
        return tokens_[index];
    }
    void renew(std::size_t index) {
        auto fresh = std::make_shared<Shared>();
        const std::lock_guard lock(mutexes_[index]);
        tokens_[index].swap(fresh);
    }

private:
    std::array<std::mutex, kSlots> mutexes_;
    std::array<std::shared_ptr<Shared>, kSlots> tokens_;
};

struct Callback {
    explicit Callback(CancelationToken watched) : token(std::move(watched)) {}
    CancelationToken token;
    std::atomic<int> calls{0};
    CancelationToken::Registration registration;
};

struct Linked {
    CancelationToken child;
    CancelationToken parent;
};

// What one thread did, and what must be true of it in the end.
struct Ledger {
    std::deque<std::unique_ptr<Callback>> registered;
    std::vector<Linked> links;
    std::vector<std::shared_ptr<Shared>> won;
    bool called_after_unregistering = false;
    bool called_twice = false;
    bool latch_came_undone = false;
};

void unregister_oldest(Ledger& ledger) {
    Callback& oldest = *ledger.registered.front();
    oldest.registration = {};
    const int calls = oldest.calls;
    std::this_thread::yield();
    ledger.called_after_unregistering |= oldest.calls != calls;
    ledger.called_twice |= calls > 1;
    ledger.registered.pop_front();
}

void step(Slots& slots, Ledger& ledger, std::mt19937_64& random) {
    const std::shared_ptr<Shared> shared = slots.get(random() % kSlots);
    CancelationToken& token = shared->token;
    const auto won = [&](bool first) {
        if (!first) return;
        ++shared->wins;
        ledger.won.push_back(shared);
    };
    switch (random() % 16) {
        case 0:
            won(token.cancel(CancelationReason::manual, random() % 2 == 0 ? "stress" : ""));
            break;
        case 1:
            won(token.cancel_from_signal(15));
            break;
        case 2:
        case 3:
            slots.renew(random() % kSlots);
            break;
        case 4:
        case 5:
        case 6: {
            const CancelationToken parent = slots.get(random() % kSlots)->token;
            token.link(parent, random() % 2 == 0);
            if (ledger.links.size() < 20'000) ledger.links.push_back({token, parent});
            break;
        }
        case 7:
            token.deliver();
            break;
        case 8:
            (void)token.stop_token();
            break;
        case 9:
            ledger.latch_came_undone |= token.is_cancelled() && (!token.reason() || token.try_check());
            break;
        case 10:
            (void)token.wait_for(std::chrono::nanoseconds(1));
            break;
        default:
            if (ledger.registered.size() > 100) unregister_oldest(ledger);
            ledger.registered.push_back(std::make_unique<Callback>(token));
            Callback& callback = *ledger.registered.back();
            callback.registration = token.on_cancel([&callback] { ++callback.calls; });
    }
}

TEST_CASE("tokens under stress: one winner, callbacks exactly once, no link loses a cancelation") {
    Slots slots;
    std::vector<Ledger> ledgers(stress::kThreads);
    stress::on_all_threads([&](std::size_t index, std::mt19937_64& random) {
        for (std::size_t i = 0; i < stress::steps_per_thread(); ++i)
            step(slots, ledgers[index], random);
    });
    // What was set as if by a signal handler is still to be delivered.
    for (const Ledger& ledger : ledgers)
        for (const auto& shared : ledger.won)
            shared->token.deliver();
    for (Ledger& ledger : ledgers) {
        CHECK_FALSE(ledger.called_after_unregistering);
        CHECK_FALSE(ledger.called_twice);
        CHECK_FALSE(ledger.latch_came_undone);
        std::size_t wrong_calls = 0, lost = 0, disputed = 0;
        for (const auto& callback : ledger.registered)
            wrong_calls += callback->calls != (callback->token.is_cancelled() ? 1 : 0);
        for (const Linked& link : ledger.links)
            lost += link.parent.is_cancelled() && !link.child.is_cancelled();
        for (const auto& shared : ledger.won)
            disputed += shared->wins != 1;
        CHECK(wrong_calls == 0);
        CHECK(lost == 0);
        CHECK(disputed == 0);
    }
}

}  // namespace
}  // namespace cancelable
