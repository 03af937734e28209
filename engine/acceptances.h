#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

#include "engine/loop.h"
#include "engine/process/error.h"
#include "engine/shim/spec.h"

namespace cancelable {

// Writes down what is accepted (engine/shim/acceptance.h), where it can into the file of an operation that is
// over: to make and to remove one costs many times what a new name does. On ext4, which gives no inode out
// again within five seconds, it was a tenth of a batch.
//
// A file that waits is still named `<id>.begun`. Whoever comes after a killed supervisor takes that for the
// last trace of an operation that has ended, whatever is in it: because there is no channel beside it, or, in
// the moment in which the pool holds its shim, because the history knows the end. Those that a whole second
// has not needed are removed. Loop thread only.
class Acceptances {
public:
    // `directory` is borrowed. `look` is how long one may wait without being needed.
    Acceptances(Loop& loop, int directory, std::chrono::milliseconds look = std::chrono::seconds(1));

    // Leaves no file behind.
    ~Acceptances();

    Result<> write(const OperationSpec& spec);

    // It had begun, is over, and its record is safe, so that its beginning tells nobody anything any more.
    void over(OperationId id);

private:
    void remove_oldest(std::size_t count) noexcept;

    int directory_;
    std::chrono::milliseconds look_;
    std::deque<OperationId> spare_;  // the last one is the next to be used
    std::size_t unneeded_ = 0;       // how many were spare all the time since the last look
    Timer timer_;
};

}  // namespace cancelable
