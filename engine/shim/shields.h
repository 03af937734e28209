#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "engine/process/fd.h"
#include "engine/shim/stop_plan.h"

namespace cancelable {

// The shields of an operation, and what they hold back.
//
// A shield lasts as long as somebody holds the other end of its descriptor, so it ends with its process,
// however that ends, and needs no supervisor. Once something is held back, each shield counts until its own
// limit has passed since then; when none counts any more, what was held is due. What came with a later shield
// changes nothing about when the holding began.
class Shields {
public:
    using Clock = std::chrono::steady_clock;

    // More than anybody means to have: what comes on top is refused.
    static constexpr std::size_t kLimit = 256;

    // False where it was not taken.
    bool add(UniqueFd holder, std::chrono::milliseconds limit);

    // Readable when a shield may be over; -1 while there has been none.
    int fd() const noexcept { return poll_.get(); }

    // Forgets those that are over. True where there were any.
    bool drop_closed();

    std::size_t count() const noexcept { return shields_.size(); }
    std::chrono::milliseconds longest_limit() const noexcept;

    // Takes a stop plan where it has to wait. False where nothing shields from it (any more): it is the
    // caller's to carry out. A plan with nothing polite about it never waits.
    bool hold(const StopPlan& plan, Clock::time_point now);

    bool is_holding() const noexcept { return !held_.empty(); }

    // When what is held is due at the latest; nothing where nothing is held.
    std::optional<Clock::time_point> until() const;

    // What is due now, in its order; empty where nothing is.
    std::vector<StopPlan> take_due(Clock::time_point now);

    // Shields or not: what is held is the caller's to replace by something harder.
    void break_all() noexcept { held_.clear(); }

private:
    struct Shield {
        UniqueFd holder;
        std::chrono::milliseconds limit;
    };

    UniqueFd poll_;  // an epoll descriptor over all of them
    std::vector<Shield> shields_;
    std::vector<StopPlan> held_;  // the first, and the shortest that came after it
    Clock::time_point held_since_{};
};

}  // namespace cancelable
