#pragma once

#include <poll.h>

#include <chrono>
#include <optional>
#include <span>

namespace cancelable {

// Waits for events, with little memory once none have come for a moment.
//
// There is one shim for each operation, and nearly all of them do nothing but wait. So what start-up needed
// and waiting does not is given back to the kernel, once: freed heap, and the pages of our own program, which
// come back from the page cache when they are used again.
class FrugalWait {
public:
    using Clock = std::chrono::steady_clock;

    // As ppoll() does: how many have events, 0 when `due` has come, which may be never, -1 with an errno.
    int wait(std::span<pollfd> watched, std::optional<Clock::time_point> due);

private:
    bool has_given_back_ = false;
};

}  // namespace cancelable
