#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "cli/batch/commands.h"
#include "cli/batch/pace.h"
#include "cli/batch/schedule.h"
#include "cli/terminal/progress_line.h"

namespace cancelable::cli {

// The line at the bottom of the terminal that says how far a batch is; nothing where there is no terminal.
class BatchBar {
public:
    using Clock = std::chrono::steady_clock;

    // `size`: of the input in bytes, where it is a file.
    BatchBar(ProgressLine& line, const Commands& commands, std::optional<std::uint64_t> size);

    // Draws what has changed, at most ten times a second.
    void update(const Schedule& schedule, Clock::time_point now);

    // When it wants to be updated at the latest; -1: never.
    int poll_timeout(Clock::time_point now) const noexcept;

    void resized() { line_.resized(); }
    void hide() { line_.hide(); }

private:
    std::optional<std::size_t> total(bool& is_estimate) const noexcept;

    ProgressLine& line_;
    const Commands& commands_;
    std::optional<std::uint64_t> size_;
    Pace pace_{Clock::now()};
    Clock::time_point next_{};  // not before
    std::size_t ended_ = 0;     // as it was drawn
    std::size_t running_ = 0;
    bool is_stale_ = false;
};

}  // namespace cancelable::cli
