#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace cancelable {

// One libuv loop and the few things the engine asks of it. Not thread-safe but for Wake::notify and what is
// said so.
//
// The handles below stop when they are destroyed, may be destroyed inside their own callback, and must go
// before their loop does. A callback must not throw.
class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Runs until stop(), or until no handle is left.
    void run();

    // Runs what is ready and returns; for tests, and for programs that have a loop of their own.
    void run_once(bool wait);

    // From a callback of this loop.
    void stop() noexcept;

    struct Impl;
    Impl& impl() noexcept { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

struct Readiness {
    bool readable = false;
    bool writable = false;
    bool hung_up = false;  // the other side is gone; there may still be something to read
};

// Calls back when a descriptor is ready. Does not own the descriptor, which must stay open as long as the
// watch.
class Watch {
public:
    using Callback = std::function<void(Readiness)>;
    Watch(Loop& loop, int fd, Callback callback);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // From now on somebody else is called.
    void hand_over(Callback callback);

    // What to wait for from now on; neither: the watch rests.
    void want(bool readable, bool writable);

private:
    struct Impl;
    Impl* impl_;
};

// One-shot; starting a started timer starts it anew.
class Timer {
public:
    Timer(Loop& loop, std::function<void()> callback);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void start(std::chrono::milliseconds after);
    void stop() noexcept;
    bool is_active() const noexcept;

private:
    struct Impl;
    Impl* impl_;
};

// Lets other threads call the loop: any number of notify() calls before the callback runs become one call of
// it.
class Wake {
public:
    Wake(Loop& loop, std::function<void()> callback);
    ~Wake();
    Wake(const Wake&) = delete;
    Wake& operator=(const Wake&) = delete;

    // From any thread, and from a signal handler: async-signal-safe.
    void notify() noexcept;

private:
    struct Impl;
    Impl* impl_;
};

}  // namespace cancelable
