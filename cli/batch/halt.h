#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/process/error.h"

namespace cancelable::cli {

// How the operations of a batch have ended so far.
struct Tally {
    std::size_t completed = 0;
    std::size_t failed = 0;     // by themselves, by a timeout, by somebody else's cancelation, or lost
    std::size_t cancelled = 0;  // by us, because the batch was to end

    std::size_t ended() const noexcept { return completed + failed + cancelled; }
};

// When a batch ends before its input does: `never`, or `now` or `soon`, a comma, and `fail`, `success` or
// `done` with `=N` or `=N%`. `soon` starts nothing more, `now` cancels what runs as well.
//
// A percentage is of those that have ended, and counts from the third on: the first to fail alone would be a
// hundred percent of them.
struct Halt {
    enum class When : std::uint8_t { never, soon, now } when = When::never;
    enum class What : std::uint8_t { fail, success, done } what = What::fail;
    std::size_t number = 1;
    bool is_percentage = false;

    bool is_reached(const Tally& tally) const noexcept;
};

Result<Halt> parse_halt(std::string_view text);
std::string to_text(const Halt& halt);

}  // namespace cancelable::cli
