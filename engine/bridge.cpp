// The loop is woken once for any number of calls: `awake` is set by whoever wakes it, and cleared by the loop
// before it looks into its queues. A call is first queued and then looks at `awake`, the loop first clears it
// and then looks for calls, all of it sequentially consistent: so none is left lying while the loop sleeps.

#include "engine/bridge.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/bounded_ring.h"

namespace cancelable {

struct LoopBridge::LaneCall {
    Call call;
    std::shared_ptr<LaneCall> next;
    bool queued = false;
};

namespace {

// A queue that is never full, since its elements bring their own place with them.
template <class Element>
class Lane {
public:
    // False where it is closed. An element that is queued already stays where it is.
    bool push(const std::shared_ptr<Element>& element) noexcept {
        const std::lock_guard lock(mutex_);
        if (closed_) return false;
        if (element->queued) return true;
        element->queued = true;
        Element* raw = element.get();
        (last_ != nullptr ? last_->next : first_) = element;
        last_ = raw;
        any_.store(true);
        return true;
    }

    bool is_empty() const noexcept { return !any_.load(); }

    // With `or_close`, finding nothing closes it.
    std::shared_ptr<Element> pop(bool or_close = false) noexcept {
        const std::lock_guard lock(mutex_);
        if (!first_) {
            closed_ = closed_ || or_close;
            return nullptr;
        }
        std::shared_ptr<Element> element = std::move(first_);
        first_ = std::move(element->next);
        if (!first_) {
            last_ = nullptr;
            any_.store(false);
        }
        return element;
    }

private:
    std::mutex mutex_;
    std::atomic<bool> any_{false};
    std::shared_ptr<Element> first_;
    Element* last_ = nullptr;
    bool closed_ = false;
};

// How many calls run before blocked callers are told of the room that there is.
constexpr std::size_t kRoomEvery = 64;

}  // namespace

struct LoopBridge::State : std::enable_shared_from_this<State> {
    State(Loop& loop, const Options& given)
        : calls(given.buffer_size), log(given.log), wake(std::in_place, loop, [this] { drain(); }) {}

    void notify() {
        if (awake.load() || awake.exchange(true)) return;
        const std::lock_guard lock(wake_mutex);
        if (wake) wake->notify();
    }

    bool is_loop_thread() const noexcept { return loop_thread.load() == std::this_thread::get_id(); }

    Result<Accepted> wait_for_room(Call& call, std::chrono::milliseconds deadline);
    void tell_of_room() noexcept;
    void drain() noexcept;
    void run(Call& call) noexcept;
    void run_lanes() noexcept;
    void close() noexcept;

    BoundedRing<Call> calls;
    Lane<LaneCall> cancelations;
    Lane<LaneCall> completions;  // what workers hand back
    std::function<void(const std::string&)> log;
    std::atomic<std::thread::id> loop_thread{std::this_thread::get_id()};

    std::atomic<bool> awake{false};
    std::mutex wake_mutex;
    std::optional<Wake> wake;

    std::mutex room_mutex;
    std::condition_variable room;
    std::atomic<std::size_t> blocked{0};

    std::atomic<std::uint64_t> executed{0};
    std::atomic<std::uint64_t> threw{0};
    std::atomic<std::uint64_t> refused_and_counted{0};  // accepted, and dropped since there was no room
    std::atomic<std::uint64_t> dropped_at_close{0};
};

Result<Accepted> LoopBridge::State::wait_for_room(Call& call, std::chrono::milliseconds deadline) {
    if (is_loop_thread())
        return failure(ErrorCode::limit,
                       "the bridge's queue is full, and only the thread that asks could empty it");
    const auto until = std::chrono::steady_clock::now() + deadline;
    std::unique_lock lock(room_mutex);
    // First blocked, then a look: as with `awake`, either the room is seen here, or the blocked one there.
    blocked.fetch_add(1);
    auto pushed = calls.try_push(call);
    while (pushed == BoundedRing<Call>::Push::full) {
        const bool late = room.wait_until(lock, until) == std::cv_status::timeout;
        pushed = calls.try_push(call);
        if (late) break;
    }
    blocked.fetch_sub(1);
    switch (pushed) {
        case BoundedRing<Call>::Push::done:
            return Accepted::queued;
        case BoundedRing<Call>::Push::closed:
            return failure(ErrorCode::refused, "the bridge is closed");
        case BoundedRing<Call>::Push::full:
            break;
    }
    return failure(ErrorCode::limit,
                   "the bridge's queue stayed full for " + std::to_string(deadline.count()) + " ms");
}

void LoopBridge::State::tell_of_room() noexcept {
    if (blocked.load() == 0) return;
    {
        const std::lock_guard lock(room_mutex);
    }  // nobody is between the look and the sleep
    room.notify_all();
}

void LoopBridge::State::run(Call& call) noexcept {
    try {
        call();
        return;
    } catch (const std::exception& error) {
        threw.fetch_add(1, std::memory_order_relaxed);
        if (log) log(std::string("a call into the loop threw: ") + error.what());
    } catch (...) {
        threw.fetch_add(1, std::memory_order_relaxed);
        if (log) log("a call into the loop threw what is no exception");
    }
}

void LoopBridge::State::run_lanes() noexcept {
    for (Lane<LaneCall>* lane : {&cancelations, &completions}) {
        while (!lane->is_empty()) {
            // Cancelations first, also before a completion.
            const std::shared_ptr<LaneCall> next = lane->pop();
            if (!next) break;
            // Moved out: it may destroy the watch that it belongs to.
            Call call = std::move(next->call);
            next->call = nullptr;
            if (call) run(call);
            if (lane == &completions && !cancelations.is_empty()) return run_lanes();
        }
    }
}

void LoopBridge::State::drain() noexcept {
    const std::shared_ptr<State> alive = shared_from_this();  // a call may destroy the bridge
    loop_thread.store(std::this_thread::get_id());
    awake.store(false);
    // One round takes what one full queue holds, then the loop's other handles have their turn.
    for (std::size_t left = calls.capacity();; --left) {
        if (!cancelations.is_empty() || !completions.is_empty()) run_lanes();
        if (left == 0) {
            notify();
            break;
        }
        std::optional<Call> call = calls.try_pop();
        if (!call) break;
        run(*call);
        executed.fetch_add(1, std::memory_order_relaxed);
        if (left % kRoomEvery == 0) tell_of_room();
    }
    tell_of_room();
}

void LoopBridge::State::close() noexcept {
    calls.close();
    tell_of_room();
    // What is claimed by now is filled soon: its producer is between two instructions.
    while (!calls.is_empty()) {
        if (calls.try_pop())
            dropped_at_close.fetch_add(1, std::memory_order_relaxed);
        else
            std::this_thread::yield();
    }
    while (const std::shared_ptr<LaneCall> next = cancelations.pop(true)) {
        Call call = std::move(next->call);
        if (call) run(call);
    }
    while (completions.pop(true)) {
    }
    const std::lock_guard lock(wake_mutex);
    wake.reset();
}

LoopBridge::LoopBridge(Loop& loop, const Options& options)
    : state_(std::make_shared<State>(loop, options)),
      when_full_(options.when_full),
      workers_(options.max_workers) {}

LoopBridge::~LoopBridge() {
    close();
}

void LoopBridge::close() noexcept {
    state_->close();
}

Result<Accepted> LoopBridge::call_soon(Call call, WhenFull when_full) {
    switch (state_->calls.try_push(call)) {
        case BoundedRing<Call>::Push::done:
            state_->notify();
            return Accepted::queued;
        case BoundedRing<Call>::Push::closed:
            return failure(ErrorCode::refused, "the bridge is closed");
        case BoundedRing<Call>::Push::full:
            break;
    }
    switch (when_full.kind) {
        case WhenFull::Kind::drop:
            state_->refused_and_counted.fetch_add(1, std::memory_order_relaxed);
            return Accepted::dropped;
        case WhenFull::Kind::block: {
            auto accepted = state_->wait_for_room(call, when_full.deadline);
            if (accepted) state_->notify();
            return accepted;
        }
        case WhenFull::Kind::fail:
            break;
    }
    return failure(ErrorCode::limit, "the bridge's queue is full");
}

bool LoopBridge::cancel_soon(Call call) {
    const auto queued = std::make_shared<LaneCall>();
    queued->call = std::move(call);
    if (!state_->cancelations.push(queued)) return false;
    state_->notify();
    return true;
}

void LoopBridge::hand_back(State& state, Call call) {
    const auto queued = std::make_shared<LaneCall>();
    queued->call = std::move(call);
    if (state.completions.push(queued)) state.notify();
}

LoopBridge::TokenWatch LoopBridge::on_cancel(const CancelationToken& token, Call callback) {
    TokenWatch watch;
    watch.call_ = std::make_shared<LaneCall>();
    watch.call_->call = std::move(callback);
    watch.registration_ = token.on_cancel([state = std::weak_ptr(state_), call = watch.call_] {
        const std::shared_ptr<State> bridge = state.lock();
        if (bridge && bridge->cancelations.push(call)) bridge->notify();
    });
    return watch;
}

LoopBridge::Counts LoopBridge::counts() const noexcept {
    Counts counts;
    counts.executed = state_->executed.load(std::memory_order_relaxed);
    counts.threw = state_->threw.load(std::memory_order_relaxed);
    const std::uint64_t without_room = state_->refused_and_counted.load(std::memory_order_relaxed);
    counts.dropped = without_room + state_->dropped_at_close.load(std::memory_order_relaxed);
    counts.accepted = without_room + state_->calls.pushed();
    return counts;
}

LoopBridge::TokenWatch::TokenWatch() noexcept = default;
LoopBridge::TokenWatch::TokenWatch(TokenWatch&&) noexcept = default;

LoopBridge::TokenWatch& LoopBridge::TokenWatch::operator=(TokenWatch&& other) noexcept {
    TokenWatch leaving(std::move(other));
    call_.swap(leaving.call_);
    std::swap(registration_, leaving.registration_);
    return *this;
}

LoopBridge::TokenWatch::~TokenWatch() {
    if (!call_) return;
    registration_ = {};
    call_->call = nullptr;
}

Result<SignalDelivery> SignalDelivery::make(Loop& loop, const CancelationToken& token) {
    const auto fd = token.wake_fd();
    if (!fd) return std::unexpected(fd.error());
    // The descriptor stays readable, so the watch rests after its one call. It is not the watch that is
    // destroyed in it: that happens to whoever holds the delivery, if a callback lets go of it.
    auto place = std::make_shared<Watch*>(nullptr);
    auto watch = std::make_unique<Watch>(loop, *fd, [token, place](Readiness) mutable {
        (*place)->want(false, false);
        CancelationToken delivered = token;  // outlives the watch, which a callback may destroy
        delivered.deliver();
    });
    *place = watch.get();
    watch->want(true, false);
    return SignalDelivery(std::move(watch));
}

}  // namespace cancelable
