#include "cli/batch/bar.h"

#include <algorithm>

#include "cli/batch/report.h"

namespace cancelable::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenDrawings{100};

// So that the time that is left goes on although nothing ends.
constexpr std::chrono::milliseconds kAtLeast{1000};

}  // namespace

BatchBar::BatchBar(ProgressLine& line, const Commands& commands, std::optional<std::uint64_t> size)
    : line_(line), commands_(commands), size_(size) {}

std::optional<std::size_t> BatchBar::total(bool& is_estimate) const noexcept {
    const std::size_t count = commands_.count();
    const std::uint64_t taken = commands_.reader().bytes_taken();
    is_estimate = false;
    if (commands_.is_over()) return count;
    // As many in the rest of the file as there were in what has been read of it.
    if (!size_ || taken == 0 || count == 0) return std::nullopt;
    is_estimate = true;
    return std::max(count, static_cast<std::size_t>(static_cast<double>(count) * static_cast<double>(*size_) /
                                                    static_cast<double>(taken)));
}

void BatchBar::update(const Schedule& schedule, Clock::time_point now) {
    if (!line_.is_possible()) return;
    is_stale_ = schedule.tally().ended() != ended_ || schedule.running() != running_;
    if (now < next_) return;
    next_ = now + kBetweenDrawings;
    is_stale_ = false;
    ended_ = schedule.tally().ended();
    running_ = schedule.running();
    BatchProgress progress;
    progress.tally = schedule.tally();
    progress.running = schedule.running();
    pace_.ended(ended_, now);
    progress.rate = pace_.rate(now);
    progress.total = total(progress.total_is_estimate);
    if (progress.total)
        progress.remaining = pace_.remaining(*progress.total - std::min(*progress.total, ended_), now);
    line_.show([progress](std::size_t columns) { return batch_line(progress, columns); });
}

int BatchBar::poll_timeout(Clock::time_point now) const noexcept {
    if (!line_.is_possible()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        next_ + (is_stale_ ? std::chrono::milliseconds(0) : kAtLeast) - now);
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

}  // namespace cancelable::cli
