#include "tests/e2e/waiting.h"

#include <poll.h>

#include <algorithm>
#include <thread>

namespace cancelable::e2e {

int Deadline::remaining_ms() const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

void wait_until(const std::string& what, const std::function<bool()>& holds) {
    const Deadline deadline;
    while (!holds()) {
        if (deadline.passed()) throw Impatient("waited in vain: " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

bool wait_readable(int fd, const Deadline& deadline) {
    pollfd entry{fd, POLLIN, 0};
    while (true) {
        const int ready = ::poll(&entry, 1, deadline.remaining_ms());
        if (ready > 0) return true;
        if (ready == 0) return false;
    }
}

}  // namespace cancelable::e2e
