#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "engine/token.h"

namespace cancelable {

// Why a task has no value.
struct Unfinished {
    std::optional<CancelationReason> cancelled;  // its token was set, or its pool was stopped: `shutdown`
    std::string message;                         // of the cancelation, or of what the function threw
    std::exception_ptr exception;                // what the function threw
};

template <class T>
using Outcome = std::expected<T, Unfinished>;

// One piece of work, for the pool that runs it. It is settled once: by its function's end or by its token,
// whichever comes first.
class AnyTask {
public:
    virtual ~AnyTask() = default;

    // On a worker: calls the function, unless the task is settled.
    virtual void run() noexcept = 0;

    virtual void give_up(Unfinished why) noexcept = 0;
};

template <class T>
class TaskState final : public AnyTask {
public:
    using Function = std::move_only_function<T(const CancelationToken&)>;

    explicit TaskState(Function function) : function_(std::move(function)) {}

    // The token that the function gets.
    CancelationToken& token() noexcept { return token_; }

    // To be called once, with itself, before anyone else knows the task: from then on the token settles it.
    void watch(const std::shared_ptr<TaskState>& self) {
        registration_ = token_.on_cancel([weak = std::weak_ptr(self)] {
            if (const auto task = weak.lock()) task->give_up(cancelled(*task->token_.verdict()));
        });
    }

    void run() noexcept override {
        Function function;
        {
            const std::lock_guard lock(mutex_);
            function.swap(function_);
        }
        if (!function) return;
        if (const auto verdict = token_.verdict()) return give_up(cancelled(*verdict));
        Outcome<T> outcome = call(function);
        function = nullptr;  // before the waiter goes on
        // The function may have ended because its token was set, and have been faster than the token's
        // callback.
        if (const auto verdict = token_.verdict()) outcome = std::unexpected(cancelled(*verdict));
        settle(std::move(outcome));
    }

    void give_up(Unfinished why) noexcept override { settle(std::unexpected(std::move(why))); }

    void wait(std::optional<std::chrono::steady_clock::time_point> deadline) {
        std::unique_lock lock(mutex_);
        const auto settled = [&] { return outcome_.has_value(); };
        if (deadline)
            settled_.wait_until(lock, *deadline, settled);
        else
            settled_.wait(lock, settled);
    }

    bool is_settled() {
        const std::lock_guard lock(mutex_);
        return outcome_.has_value();
    }

    Outcome<T> take() {
        const std::lock_guard lock(mutex_);
        return std::move(*outcome_);
    }

    // Called once, by whoever settles the task; at once where it is settled.
    void when_settled(std::move_only_function<void()> callback) {
        {
            const std::lock_guard lock(mutex_);
            if (!outcome_) {
                when_settled_ = std::move(callback);
                return;
            }
        }
        callback();
    }

private:
    static Unfinished cancelled(const Verdict& verdict) { return {verdict.reason, verdict.message, {}}; }

    Outcome<T> call(Function& function) noexcept {
        try {
            if constexpr (std::is_void_v<T>) {
                function(token_);
                return {};
            } else {
                return function(token_);
            }
        } catch (const CancelationError& error) {
            return std::unexpected(Unfinished{error.reason(), error.message(), std::current_exception()});
        } catch (const std::exception& error) {
            return std::unexpected(Unfinished{{}, error.what(), std::current_exception()});
        } catch (...) {
            return std::unexpected(Unfinished{{}, "an exception of unknown type", std::current_exception()});
        }
    }

    void settle(Outcome<T> outcome) noexcept {
        Function unstarted;  // what it captured goes where no lock is held
        std::move_only_function<void()> callback;
        {
            const std::lock_guard lock(mutex_);
            if (outcome_) return;
            outcome_.emplace(std::move(outcome));
            unstarted.swap(function_);
            callback.swap(when_settled_);
        }
        settled_.notify_all();
        if (callback) callback();
    }

    std::mutex mutex_;
    std::condition_variable settled_;
    Function function_;
    std::optional<Outcome<T>> outcome_;
    std::move_only_function<void()> when_settled_;
    CancelationToken token_;
    CancelationToken::Registration registration_;
};

// The result to come of a function that runs on a worker. Letting go of it cancels nothing.
template <class T>
class [[nodiscard]] Task {
public:
    explicit Task(std::shared_ptr<TaskState<T>> state) noexcept : state_(std::move(state)) {}

    bool is_ready() const { return state_->is_settled(); }

    // True where it is ready by then.
    bool wait_for(std::chrono::milliseconds timeout) const {
        state_->wait(std::chrono::steady_clock::now() + timeout);
        return is_ready();
    }

    // Blocks until the function has ended or the token is set: then it returns at once, and what the function
    // still does or returns is nobody's concern. Once only.
    Outcome<T> get() && {
        state_->wait(std::nullopt);
        return state_->take();
    }

    // `callback` gets the outcome, once, on the thread that settles the task: a worker, whoever cancels, or
    // this one.
    template <class Callback>
    void then(Callback callback) && {
        TaskState<T>& state = *state_;
        state.when_settled(
            [held = std::move(state_), callback = std::move(callback)]() mutable { callback(held->take()); });
    }

private:
    std::shared_ptr<TaskState<T>> state_;
};

}  // namespace cancelable
