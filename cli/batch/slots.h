#pragma once

#include <cstddef>

#include "engine/process/fd.h"
#include "engine/shim/slots.h"

namespace cancelable::cli {

// Where an operation stands in the line of those that have not begun.
struct Turn {
    UniqueFd own;
    UniqueFd next;

    explicit operator bool() const noexcept { return static_cast<bool>(own); }
};

// The slots of a batch that starts ahead: some operations more than may run are accepted, and each begins as
// soon as one of those that run is over, while client and supervisor still deal with that end. They begin in
// the order of the input all the same. See engine/shim/slots.h.
class BatchSlots {
public:
    // Nothing is started ahead, and no operation needs a slot.
    BatchSlots() noexcept = default;

    // Where the system has no pipe to give, likewise.
    explicit BatchSlots(std::size_t number);

    // To be passed on with each operation; -1: none.
    int pipe() const noexcept { return pipe_.get(); }

    // How many may be accepted ahead.
    std::size_t ahead() const noexcept;

    // Behind all that have done so before. None where no slot is needed.
    Result<Turn> line_up();

    // Nothing begins any more that has not begun.
    void close() noexcept;

    // Or may have: whether it had a slot, and which, nobody knows.
    void shim_died() noexcept { offer_slots(pipe_.get(), number_); }

private:
    std::size_t number_ = 0;
    UniqueFd pipe_;
    UniqueFd last_;  // the turn of the next one
};

}  // namespace cancelable::cli
