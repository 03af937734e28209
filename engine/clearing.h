#pragma once

#include <chrono>
#include <deque>

#include "engine/loop.h"
#include "engine/shim/spec.h"

namespace cancelable {

// Takes the traces of operations that were adopted and have ended off the runtime directory, but not at once.
//
// The client of such an operation may not have been told its id: its supervisor was killed, and it is about
// to ask the next one, under its key. Should that one be killed first, the one after it must know the key all
// the same, or it would run the command a second time. So the traces stay for longer than any client goes on
// asking. A shim that was silent when its operation was found ended writes its record in that time, too. Loop
// thread only.
class Clearing {
public:
    // `directory` is borrowed.
    Clearing(Loop& loop, int directory);

    void later(OperationId id);

private:
    using Clock = std::chrono::steady_clock;
    void clear();

    int directory_;
    struct Due {
        Clock::time_point at;
        OperationId id;
    };
    std::deque<Due> due_;
    Timer timer_;
};

}  // namespace cancelable
