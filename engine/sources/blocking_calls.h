#pragma once

#include <functional>
#include <memory>

#include "engine/loop.h"

namespace cancelable {

// Runs what may never come back (a look at a file system that hangs) where nobody has to wait for it.
//
// A thread that is stuck is left to itself, and others take over its work; only where a great many are stuck
// does work wait. Nothing waits for them at the end, either: what a call captures must be its own. Loop
// thread only.
class BlockingCalls {
public:
    explicit BlockingCalls(Loop& loop);
    ~BlockingCalls();
    BlockingCalls(const BlockingCalls&) = delete;
    BlockingCalls& operator=(const BlockingCalls&) = delete;

    // `call` runs on a thread, and what it returns on the loop, unless this is destroyed before.
    using Finish = std::move_only_function<void()>;
    void run(std::move_only_function<Finish()> call);

private:
    struct State;
    void look_after();

    std::shared_ptr<State> state_;
    Wake wake_;
    Timer patience_;
};

}  // namespace cancelable
