#include "engine/workers.h"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <system_error>

namespace cancelable {
namespace {

// A thread starts with the signal mask of the one that makes it.
class AllSignalsBlocked {
public:
    AllSignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

private:
    sigset_t before_;
};

}  // namespace

WorkerPool::WorkerPool(std::size_t max_workers) : max_workers_(std::max<std::size_t>(max_workers, 1)) {}

WorkerPool::~WorkerPool() {
    stop();
}

void WorkerPool::enqueue(const std::shared_ptr<AnyTask>& task) {
    std::exception_ptr no_thread;
    {
        const std::lock_guard lock(mutex_);
        if (stopping_.is_cancelled()) return;  // the token has settled the task, or is about to
        queue_.push_back(task);
        if (queue_.size() > idle_ && threads_.size() < max_workers_) {
            try {
                const AllSignalsBlocked blocked;
                threads_.emplace_back([this] { work(); });
            } catch (const std::system_error&) {
                // With fewer workers than allowed the work is slower. With none it would never be done.
                if (threads_.empty()) {
                    queue_.pop_back();
                    no_thread = std::current_exception();
                }
            }
        }
    }
    if (no_thread)
        task->give_up({{}, "no thread could be started", no_thread});
    else
        something_.notify_one();
}

void WorkerPool::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        something_.wait(lock, [&] { return !queue_.empty() || stopping_.is_cancelled(); });
        --idle_;
        if (stopping_.is_cancelled()) return;
        std::shared_ptr<AnyTask> task = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        task->run();
        task.reset();
        lock.lock();
    }
}

void WorkerPool::stop() {
    stopping_.cancel(CancelationReason::shutdown, "the worker pool was stopped");
    std::vector<std::thread> threads;
    std::deque<std::shared_ptr<AnyTask>> unstarted;
    {
        // A worker that looked at the token before it was set is asleep by now, and not between looking and
        // sleeping.
        const std::lock_guard lock(mutex_);
        threads.swap(threads_);
        unstarted.swap(queue_);
    }
    something_.notify_all();
    for (std::thread& thread : threads)
        thread.join();
}

std::size_t WorkerPool::queued() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

std::size_t WorkerPool::workers() const {
    const std::lock_guard lock(mutex_);
    return threads_.size();
}

}  // namespace cancelable
