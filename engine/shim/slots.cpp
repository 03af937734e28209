#include "engine/shim/slots.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

namespace cancelable {
namespace {

// Behind those of the slots: set by who closes them.
constexpr std::size_t kClosingLock = kMostSlots;

struct flock lock_at(std::size_t number, short type) noexcept {
    struct flock lock{};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<off_t>(number);
    lock.l_len = 1;
    return lock;
}

// False where somebody else has it. Where the kernel has no room for another lock it counts as set: rather
// one command too many than one that waits for ever.
bool set_lock(int slots, std::uint8_t number, short type) noexcept {
    struct flock lock = lock_at(number, type);
    return ::fcntl(slots, F_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool are_closed(int slots) noexcept {
    struct flock lock = lock_at(kClosingLock, F_WRLCK);
    return ::fcntl(slots, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

// A pipe that is full has offers enough.
void offer(int slots, std::uint8_t number) noexcept {
    static_cast<void>(retry_eintr([&] { return ::write(slots, &number, sizeof number); }));
}

}  // namespace

Result<UniqueFd> make_slots(std::size_t number) {
    auto pipe = make_pipe();
    if (!pipe) return std::unexpected(pipe.error());
    // A byte is taken by reading, and a lock wants a descriptor for writing: hence one for both.
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", pipe->read_end.get());
    auto slots = open_file(path, O_RDWR | O_NONBLOCK);
    if (slots) offer_slots(slots->get(), number);
    return slots;
}

void offer_slots(int slots, std::size_t number) noexcept {
    for (std::size_t i = 0; i < number; ++i)
        offer(slots, static_cast<std::uint8_t>(i));
}

bool close_slots(int slots) noexcept {
    struct flock lock = lock_at(kClosingLock, F_WRLCK);
    return ::fcntl(slots, F_SETLK, &lock) == 0;
}

pollfd Slot::awaited() const noexcept {
    // A hang-up is reported without being asked for. Where they are closed there is nothing to wait for.
    if (turn_) return {turn_.get(), 0, 0};
    return {slots_.get(), POLLIN, 0};
}

bool Slot::take() noexcept {
    if (turn_) {
        turn_.reset();
        return false;
    }
    std::uint8_t number = 0;
    while (retry_eintr([&] { return ::read(slots_.get(), &number, sizeof number); }) == sizeof number) {
        if (!set_lock(slots_.get(), number, F_WRLCK)) continue;
        number_ = number;
        if (are_closed(slots_.get())) {
            give_back();  // Those behind will find the same, unless who has closed them is dead by then.
            return false;
        }
        let_others_pass();
        return true;
    }
    return false;
}

// The lock first, or who hears of the slot would find it taken.
void Slot::give_back() noexcept {
    if (number_) {
        set_lock(slots_.get(), *number_, F_UNLCK);
        offer(slots_.get(), *number_);
        number_.reset();
    }
    slots_.reset();
    turn_.reset();
    let_others_pass();
}

}  // namespace cancelable
