#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

namespace cancelable {

// A queue of a fixed size from many threads to one. Pushing and popping take no lock; what one thread pushes
// comes out in its order.
//
// A ring of slots, each with a count of its turns: 2n while it waits for its n-th element, 2n + 1 while it
// holds it. A producer claims a position by moving `head_` on, fills the slot and then turns it. Closing sets
// the top bit of `head_`, so that no claim can succeed after it: what was claimed before is exactly what is
// still to be popped.
template <class T>
class BoundedRing {  // NOLINT(clang-analyzer-optin.performance.Padding): lines of its own, as said below
public:
    explicit BoundedRing(std::size_t capacity)
        : capacity_(std::max<std::size_t>(capacity, 1)), slots_(std::make_unique<Slot[]>(capacity_)) {}

    enum class Push : std::uint8_t { done, full, closed };

    // Any thread. `value` is moved from only where it is done.
    //
    // Everything here is sequentially consistent: callers fall asleep, or don't wake one who has, on the
    // strength of what they saw.
    Push try_push(T& value) noexcept {
        std::uint64_t position = head_.load();
        for (;;) {
            if ((position & kClosed) != 0) return Push::closed;
            Slot& slot = slots_[position % capacity_];
            const std::uint64_t turn = 2 * (position / capacity_);
            if (slot.turn.load() == turn) {
                if (!head_.compare_exchange_weak(position, position + 1)) continue;
                slot.value = std::move(value);
                slot.turn.store(turn + 1);
                return Push::done;
            }
            const std::uint64_t seen = std::exchange(position, head_.load());
            if (seen == position) return Push::full;
        }
    }

    // The consumer. Nothing where it is empty, or where the next one is claimed and not yet filled.
    std::optional<T> try_pop() noexcept {
        Slot& slot = slots_[index_];
        if (slot.turn.load() != turn_ + 1) return std::nullopt;
        std::optional<T> value(std::move(slot.value));
        slot.turn.store(turn_ + 2);
        ++popped_;
        if (++index_ == capacity_) {
            index_ = 0;
            turn_ += 2;
        }
        return value;
    }

    // Any thread. Nothing is taken in from here on.
    void close() noexcept { head_.fetch_or(kClosed); }

    // The consumer: everything that was ever claimed has been popped.
    bool is_empty() const noexcept { return (head_.load() & ~kClosed) == popped_; }

    // How many were ever pushed.
    std::uint64_t pushed() const noexcept { return head_.load() & ~kClosed; }

    std::size_t capacity() const noexcept { return capacity_; }

private:
    static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;

    struct Slot {
        std::atomic<std::uint64_t> turn{0};
        T value;
    };

    const std::size_t capacity_;
    const std::unique_ptr<Slot[]> slots_;
    alignas(64) std::atomic<std::uint64_t> head_{0};
    // The consumer's own, on a line that no producer writes to.
    alignas(64) std::uint64_t popped_ = 0;
    std::uint64_t turn_ = 0;
    std::size_t index_ = 0;
};

}  // namespace cancelable
