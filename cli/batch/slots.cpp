#include "cli/batch/slots.h"

#include <utility>

namespace cancelable::cli {
namespace {

// Enough for commands that take no longer than it takes to accept the next one.
constexpr std::size_t kAhead = 12;

}  // namespace

BatchSlots::BatchSlots(std::size_t number) {
    auto pipe = make_slots(number);
    auto front = make_pipe();  // Nobody holds its other end.
    if (!pipe || !front) return;
    number_ = number;
    pipe_ = std::move(*pipe);
    last_ = std::move(front->read_end);
}

std::size_t BatchSlots::ahead() const noexcept {
    return pipe_ ? kAhead : 0;
}

// Where the kernel has no room for the lock, what has not begun is cancelled as soon as its id is known.
void BatchSlots::close() noexcept {
    if (pipe_) static_cast<void>(close_slots(pipe_.get()));
}

Result<Turn> BatchSlots::line_up() {
    if (!pipe_) return Turn{};
    auto pipe = make_pipe();
    if (!pipe) return std::unexpected(pipe.error());
    return Turn{std::exchange(last_, std::move(pipe->read_end)), std::move(pipe->write_end)};
}

}  // namespace cancelable::cli
