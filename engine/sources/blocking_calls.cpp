#include "engine/sources/blocking_calls.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace cancelable {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kUsualThreads = 2;
constexpr std::size_t kMostThreads = 64;

// After so long in one call a thread counts as stuck.
constexpr std::chrono::milliseconds kStuck{250};

}  // namespace

struct BlockingCalls::State {
    std::mutex mutex;
    std::deque<std::move_only_function<Finish()>> waiting;
    std::vector<Finish> finished;
    std::map<std::thread::id, Clock::time_point> busy_since;
    std::size_t starting = 0;
    Wake* wake = nullptr;  // null once nobody is there to be told

    // A thread lives as long as there is something to do.
    static void work(const std::shared_ptr<State>& state) {
        std::unique_lock lock(state->mutex);
        --state->starting;
        while (!state->waiting.empty() && state->wake != nullptr) {
            auto call = std::move(state->waiting.front());
            state->waiting.pop_front();
            state->busy_since[std::this_thread::get_id()] = Clock::now();
            lock.unlock();
            Finish finish = call();
            call = nullptr;
            lock.lock();
            if (state->wake == nullptr) break;
            state->finished.push_back(std::move(finish));
            state->wake->notify();
        }
        state->busy_since.erase(std::this_thread::get_id());
    }

    std::size_t unstuck(Clock::time_point now) const {
        return starting + static_cast<std::size_t>(std::ranges::count_if(
                              busy_since, [&](const auto& entry) { return now - entry.second < kStuck; }));
    }

    // With the lock held. Where no thread can be had, those that run or come later do the work.
    static void start_threads(const std::shared_ptr<State>& state) {
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        const auto now = Clock::now();
        while (state->unstuck(now) < std::min(kUsualThreads, state->waiting.size()) &&
               state->starting + state->busy_since.size() < kMostThreads) {
            ++state->starting;
            try {
                std::thread([state] { work(state); }).detach();
            } catch (const std::system_error&) {
                --state->starting;
                break;
            }
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
};

BlockingCalls::BlockingCalls(Loop& loop)
    : state_(std::make_shared<State>()),
      wake_(loop,
            [this] {
                std::vector<Finish> finished;
                {
                    const std::lock_guard lock(state_->mutex);
                    finished.swap(state_->finished);
                }
                for (Finish& finish : finished)
                    if (finish) finish();
            }),
      patience_(loop, [this] { look_after(); }) {
    state_->wake = &wake_;
}

BlockingCalls::~BlockingCalls() {
    const std::lock_guard lock(state_->mutex);
    state_->wake = nullptr;
    state_->waiting.clear();
    state_->finished.clear();
}

void BlockingCalls::run(std::move_only_function<Finish()> call) {
    {
        const std::lock_guard lock(state_->mutex);
        state_->waiting.push_back(std::move(call));
        State::start_threads(state_);
    }
    if (!patience_.is_active()) patience_.start(kStuck);
}

// While something waits: whoever is stuck meanwhile is replaced.
void BlockingCalls::look_after() {
    const std::lock_guard lock(state_->mutex);
    if (state_->waiting.empty()) return;
    State::start_threads(state_);
    patience_.start(kStuck);
}

}  // namespace cancelable
