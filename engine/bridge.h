#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "engine/loop.h"
#include "engine/process/error.h"
#include "engine/token.h"
#include "engine/workers.h"

namespace cancelable {

// What a call does that finds the bridge's queue full.
struct WhenFull {
    enum class Kind : std::uint8_t { block, fail, drop };
    Kind kind = Kind::fail;
    std::chrono::milliseconds deadline{0};

    static WhenFull block_for(std::chrono::milliseconds deadline) { return {Kind::block, deadline}; }
    static WhenFull fail() { return {Kind::fail, {}}; }
    static WhenFull drop() { return {Kind::drop, {}}; }
};

enum class Accepted : std::uint8_t { queued, dropped };

// From any thread into a loop, and from a loop onto worker threads.
//
// Calls go through a bounded queue, and those of one thread are run in their order. Cancelations have a lane
// of their own: it is never full, and each is run before any call that is still queued. The bridge is made
// before its loop runs or on its thread, and destroyed there or when the loop has ended; every other function
// is safe from every thread.
class LoopBridge {
    struct State;
    struct LaneCall;

public:
    struct Options {
        std::size_t buffer_size = 1000;
        std::size_t max_workers = 4;
        WhenFull when_full = WhenFull::fail();
        std::function<void(const std::string&)> log{};  // what a call threw; on the loop's thread
    };

    LoopBridge(Loop& loop, const Options& options);
    ~LoopBridge();  // as close(), and the workers are joined
    LoopBridge(const LoopBridge&) = delete;
    LoopBridge& operator=(const LoopBridge&) = delete;

    // Runs function(arguments…) on the loop's thread, soon; also where the loop isn't running yet. Copies of
    // the arguments are kept until then. Errors: `limit` where the queue is full, and stays so until the
    // deadline where it may block; `refused` once the bridge is closed. On the loop's own thread blocking
    // would last for ever: there it fails at once.
    template <class Function, class... Arguments>
    Result<Accepted> call_soon_threadsafe(Function&& function, Arguments&&... arguments) {
        return call_soon(bind(std::forward<Function>(function), std::forward<Arguments>(arguments)...),
                         when_full_);
    }

    using Call = std::move_only_function<void()>;
    Result<Accepted> call_soon(Call call, WhenFull when_full);

    // Runs `call` on the loop's thread, in the lane of cancelations. False where the bridge is closed.
    bool cancel_soon(Call call);

    // RAII, for the loop's thread: destroying it there means that the callback will not run any more. It may
    // outlive the bridge, and its token.
    class TokenWatch {
    public:
        TokenWatch() noexcept;
        TokenWatch(TokenWatch&&) noexcept;
        TokenWatch& operator=(TokenWatch&&) noexcept;
        ~TokenWatch();

    private:
        friend class LoopBridge;
        std::shared_ptr<LaneCall> call_;
        CancelationToken::Registration registration_;
    };

    // Runs `callback` once on the loop's thread, in the lane of cancelations, when the token is cancelled;
    // never from within on_cancel() or cancel(). No memory is needed at that time, so nothing can lose it.
    [[nodiscard]] TokenWatch on_cancel(const CancelationToken& token, Call callback);

    // WorkerPool::run_in_thread() on the bridge's workers.
    template <class Function>
    auto run_in_thread(Function function, const CancelationToken& token = {}) {
        return workers_.run_in_thread(std::move(function), token);
    }

    // The same, and done(outcome) runs on the loop's thread: when the function has ended, or at once when the
    // token is set. Where the bridge is closed before, it does not run.
    template <class Function, class Done>
    void run_in_thread(Function function, const CancelationToken& token, Done done) {
        workers_.run_in_thread(std::move(function), token)
            .then([state = state_, done = std::move(done)]<class Outcome>(Outcome outcome) mutable {
                hand_back(*state, [done = std::move(done), outcome = std::move(outcome)]() mutable {
                    done(std::move(outcome));
                });
            });
    }

    // On the loop's thread, or when the loop has ended. From now on calls are refused, and blocked callers go
    // away with that error. Cancelations that are queued still run, in here; calls that are queued are
    // dropped and counted.
    void close() noexcept;

    struct Counts {
        std::uint64_t accepted = 0;  // = executed + dropped + what is queued
        std::uint64_t executed = 0;
        std::uint64_t dropped = 0;
        std::uint64_t threw = 0;  // of those executed
    };
    Counts counts() const noexcept;

private:
    template <class Function, class... Arguments>
    static Call bind(Function&& function, Arguments&&... arguments) {
        if constexpr (sizeof...(Arguments) == 0) {
            return Call(std::forward<Function>(function));
        } else {
            return [function = std::forward<Function>(function),
                    kept = std::tuple<std::decay_t<Arguments>...>(std::forward<Arguments>(
                        arguments)...)]() mutable { std::apply(function, std::move(kept)); };
        }
    }
    static void hand_back(State& state, Call call);

    std::shared_ptr<State> state_;
    const WhenFull when_full_;
    WorkerPool workers_;
};

// Brings what CancelationToken::cancel_from_signal() did to callbacks and linked tokens: watches the token's
// descriptor on a loop, and calls deliver() there. Lives on the loop's thread; make it before the handler is
// installed.
class SignalDelivery {
public:
    static Result<SignalDelivery> make(Loop& loop, const CancelationToken& token);

private:
    explicit SignalDelivery(std::unique_ptr<Watch> watch) noexcept : watch_(std::move(watch)) {}
    std::unique_ptr<Watch> watch_;
};

}  // namespace cancelable
