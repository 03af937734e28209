#include "engine/loop.h"

#include <uv.h>

#include <cstdlib>
#include <utility>

namespace cancelable {
namespace {

// The memory of a handle goes in its close callback and nowhere else: until then libuv may still look at it,
// and a callback that destroyed its own handle is still running in it.
template <class State>
void close_and_delete(State* state) noexcept {
    uv_close(reinterpret_cast<uv_handle_t*>(&state->handle),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

void must(int result) {
    if (result < 0) std::abort();  // Only ENOMEM and misuse get here: a broken invariant, not an event.
}

}  // namespace

struct Loop::Impl {
    uv_loop_t loop;
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {
    must(uv_loop_init(&impl_->loop));
}

Loop::~Loop() {
    // Handles that closed a moment ago still have their close callbacks to come.
    uv_run(&impl_->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&impl_->loop) == UV_EBUSY) std::abort();
}

void Loop::run() {
    uv_run(&impl_->loop, UV_RUN_DEFAULT);
}

void Loop::run_once(bool wait) {
    uv_run(&impl_->loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void Loop::stop() noexcept {
    uv_stop(&impl_->loop);
}

struct Watch::Impl {
    uv_poll_t handle;
    Callback callback;
    int wanted = 0;
};

Watch::Watch(Loop& loop, int fd, Callback callback) : impl_(new Impl{{}, std::move(callback)}) {
    must(uv_poll_init(&loop.impl().loop, &impl_->handle, fd));
    impl_->handle.data = impl_;
}

Watch::~Watch() {
    close_and_delete(impl_);
}

void Watch::hand_over(Callback callback) {
    impl_->callback = std::move(callback);
}

// libuv tells the kernel anew each time that it is told, so it is told only what is new.
void Watch::want(bool readable, bool writable) {
    const int events = (readable ? UV_READABLE | UV_DISCONNECT : 0) | (writable ? UV_WRITABLE : 0);
    if (std::exchange(impl_->wanted, events) == events) return;
    if (events == 0) {
        uv_poll_stop(&impl_->handle);
        return;
    }
    must(uv_poll_start(&impl_->handle, events, [](uv_poll_t* handle, int status, int ready) {
        // An error status is a descriptor in a bad way: reading it will tell which. libuv has stopped.
        if (status < 0) static_cast<Impl*>(handle->data)->wanted = 0;
        const Readiness readiness = status < 0
                                        ? Readiness{true, true, true}
                                        : Readiness{(ready & UV_READABLE) != 0, (ready & UV_WRITABLE) != 0,
                                                    (ready & UV_DISCONNECT) != 0};
        // A copy: it may be another one before this call is over.
        const Callback callback = static_cast<Impl*>(handle->data)->callback;
        callback(readiness);
    }));
}

struct Timer::Impl {
    uv_timer_t handle;
    std::function<void()> callback;
};

Timer::Timer(Loop& loop, std::function<void()> callback) : impl_(new Impl{{}, std::move(callback)}) {
    must(uv_timer_init(&loop.impl().loop, &impl_->handle));
    impl_->handle.data = impl_;
}

Timer::~Timer() {
    uv_timer_stop(&impl_->handle);
    close_and_delete(impl_);
}

void Timer::start(std::chrono::milliseconds after) {
    // The loop's clock stands still while callbacks run; without this a slow one would shorten the time.
    uv_update_time(impl_->handle.loop);
    const auto delay = static_cast<std::uint64_t>(after.count() < 0 ? 0 : after.count());
    must(uv_timer_start(
        &impl_->handle, [](uv_timer_t* handle) { static_cast<Impl*>(handle->data)->callback(); }, delay, 0));
}

void Timer::stop() noexcept {
    uv_timer_stop(&impl_->handle);
}

bool Timer::is_active() const noexcept {
    return uv_is_active(reinterpret_cast<const uv_handle_t*>(&impl_->handle)) != 0;
}

struct Wake::Impl {
    uv_async_t handle;
    std::function<void()> callback;
};

Wake::Wake(Loop& loop, std::function<void()> callback) : impl_(new Impl{{}, std::move(callback)}) {
    must(uv_async_init(&loop.impl().loop, &impl_->handle,
                       [](uv_async_t* handle) { static_cast<Impl*>(handle->data)->callback(); }));
    impl_->handle.data = impl_;
}

Wake::~Wake() {
    close_and_delete(impl_);
}

void Wake::notify() noexcept {
    uv_async_send(&impl_->handle);
}

}  // namespace cancelable
