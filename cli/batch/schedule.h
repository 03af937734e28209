// When operations of a batch may start, and what comes of them all.
//
//   running   the batch starts whatever the input gives
//   stopping  nothing more is started; what has been started goes on
//   ending    nothing more is started, and what has been started is to be cancelled
//
// It only goes from a state to one below it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cli/batch/halt.h"

namespace cancelable::cli {

class Schedule {
public:
    enum class Stage : std::uint8_t { running, stopping, ending };
    enum class Ending : std::uint8_t { completed, failed, cancelled };

    // `jobs` may run at a time, and `ahead` more may have been started that have not begun.
    Schedule(std::size_t jobs, std::size_t ahead, Halt halt) : jobs_(jobs), ahead_(ahead), halt_(halt) {}

    bool may_start() const noexcept { return stage_ == Stage::running && live_ < jobs_ + ahead_; }
    void started() noexcept { ++live_; }
    void ended(Ending how) noexcept;

    // Of an operation that was to start and could not be: it is none.
    void not_started() noexcept { --live_; }

    void stop() noexcept { advance(Stage::stopping); }  // the input is over, or something went wrong
    void end() noexcept { advance(Stage::ending); }     // somebody wants it to end

    Stage stage() const noexcept { return stage_; }
    bool is_over() const noexcept { return stage_ != Stage::running && live_ == 0; }
    bool has_halted() const noexcept { return halted_; }  // because of its policy

    std::size_t running() const noexcept { return std::min(live_, jobs_); }
    const Tally& tally() const noexcept { return tally_; }

    // How many failed, 101 for more than a hundred; 0 where so many succeeded that the policy was reached.
    int exit_status() const noexcept;

private:
    void advance(Stage stage) noexcept;

    std::size_t jobs_;
    std::size_t ahead_;
    Halt halt_;
    Stage stage_ = Stage::running;
    bool halted_ = false;
    std::size_t live_ = 0;
    Tally tally_;
};

}  // namespace cancelable::cli
