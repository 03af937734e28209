// How the commands of a batch begin one after the other, so many at a time, without anybody who watches over
// it.
//
// Slots: whoever starts a batch makes one pipe for all of it, with a byte in it for each command that may
// run. A shim that is given the pipe with its operation takes a byte out of it before the command begins, and
// puts it back as soon as the tree is gone. So the next command begins although neither client nor supervisor
// has heard of the end yet, or there is none.
//
// A byte is only the news that a slot is free. To have the slot is to have a record lock on the pipe, at the
// byte's number, which belongs to the shim's process: the kernel takes it back from one that is killed. So a
// byte too many does no harm, and a slot whose byte was lost is found again by offering all of them.
//
// Turns: those who wait for a slot stand in a line. Each has one end of a pipe whose other end is with the
// one in front of it, and looks for a slot once that is closed: because the one in front has its slot, will
// never begin, is paused, or is dead. Where one leaves the line from the middle, the one behind it comes too
// early: it may begin before others, but never without a slot.
//
// Whoever has started the batch can close the slots, and does before it cancels the first operation: else an
// operation of which it has not heard yet would begin with the slot of one that it has just ended. A lock of
// its own says so, which the kernel takes back when it is dead, as it closes its lifeline.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable {

inline constexpr std::size_t kMostSlots = 256;  // what a byte can tell apart

// The pipe, opened for reading and writing, with so many slots in it. Nothing waits for it.
Result<UniqueFd> make_slots(std::size_t number);

// Puts all of them into the pipe, whether they are taken or not.
void offer_slots(int slots, std::size_t number) noexcept;

// Nobody gets one any more, until this process ends or closes a descriptor of the pipe, whichever it is.
// False: the kernel has no room for the lock.
bool close_slots(int slots) noexcept;

// One operation's. Borrows nothing; each descriptor may be missing.
class Slot {
public:
    // Without `slots` none is needed, without `turn` nobody is in front.
    Slot(UniqueFd slots, UniqueFd turn, UniqueFd next_turn) noexcept
        : slots_(std::move(slots)), turn_(std::move(turn)), next_turn_(std::move(next_turn)) {}

    bool is_needed() const noexcept { return slots_ && !number_; }

    // What to wait for before there is any sense in take().
    pollfd awaited() const noexcept;

    // What was awaited has come. False: something else is to be awaited now; nothing, where they are closed.
    bool take() noexcept;

    // Nobody waits for this one to begin any more.
    void let_others_pass() noexcept { next_turn_.reset(); }

    // Taken or not, it is not needed any more.
    void give_back() noexcept;

private:
    UniqueFd slots_;
    UniqueFd turn_;       // of the pipe whose other end the one in front has
    UniqueFd next_turn_;  // of the pipe whose other end the one behind has
    std::optional<std::uint8_t> number_;
};

}  // namespace cancelable
