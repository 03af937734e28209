#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/context.h"
#include "engine/task.h"
#include "engine/token.h"

namespace cancelable {

// Threads for work that blocks: queries, files, conditions. They are started as work comes, and block every
// signal, so that signal handlers keep to the program's own threads.
//
// Safe from every thread, but for stop() and the destructor, which no task of the pool may call.
class WorkerPool {
public:
    explicit WorkerPool(std::size_t max_workers);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Calls function(token) or function() on a worker, in the caller's context. The token it gets is set when
    // `token` is, or when the pool stops; so is the task then settled at once, and where it was still queued,
    // its function is never called. (A token that a signal handler sets does so at its deliver().) After
    // stop() the task is settled from the start.
    template <class Function>
    auto run_in_thread(Function function, const CancelationToken& token = {}) {
        if constexpr (std::is_invocable_v<Function&, const CancelationToken&>) {
            return submit<std::invoke_result_t<Function&, const CancelationToken&>>(std::move(function),
                                                                                    token);
        } else {
            auto blind = [inner = std::move(function)](const CancelationToken&) mutable { return inner(); };
            return submit<std::invoke_result_t<Function&>>(std::move(blind), token);
        }
    }

    // As run_in_thread() with the token of the current operation, where there is one.
    template <class Function>
    auto run_in_thread_with_context(Function function) {
        const auto operation = current_operation();
        return run_in_thread(std::move(function), operation ? operation->token : CancelationToken());
    }

    // Nothing queued starts any more, the tokens of what runs are set, and every worker is joined: it returns
    // when the functions that were running have.
    void stop();

    std::size_t queued() const;
    std::size_t workers() const;

private:
    template <class T, class Function>
    Task<T> submit(Function function, const CancelationToken& token);
    void enqueue(const std::shared_ptr<AnyTask>& task);
    void work();

    const std::size_t max_workers_;
    CancelationToken stopping_;
    mutable std::mutex mutex_;
    std::condition_variable something_;
    std::deque<std::shared_ptr<AnyTask>> queue_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
};

template <class T, class Function>
Task<T> WorkerPool::submit(Function function, const CancelationToken& token) {
    auto state = std::make_shared<TaskState<T>>(with_context(std::move(function)));
    state->watch(state);
    state->token().link(token, true);
    state->token().link(stopping_, true);
    if (!state->is_settled()) enqueue(state);
    return Task<T>(std::move(state));
}

}  // namespace cancelable
