// How a tree is held still, without a freezer.
//
// SIGSTOP cannot be caught, and a process that has it pending begins no fork; but a tree is looked at one
// process after the other, and one that dies meanwhile leaves its child to somebody whose children were read
// already. So the tree is looked at again and again, and each look stops what runs. It is held once a whole
// look has found nothing that runs, nothing that the look before had not seen, and nothing that has died
// since the look before: then nobody could have forked, nobody has changed parents, and all that there is was
// seen, still.
//
// One that is asleep where no signal wakes it does not stop before it wakes up. Most do nothing more than
// that, but one that sleeps within a fork completes it first. So it counts as still only once it has slept
// for longer than a fork takes, and as long as there is such a one, looks go on. A parent that has called
// vfork() is asleep too until its child goes on, and then the pause takes that long.
//
// A freezer of cgroups would do it in one step where one is delegated. This needs nothing, and is no weaker.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/process/tree.h"

namespace cancelable {

// Pauses and resumes the tree below the calling process.
//
//   from \ to   pausing  paused  running
//   running        x
//   pausing                 x       x
//   paused                          x
//
// What was stopped already when it was first seen, by whomever, is left stopped by resume(). Those that may
// not be signalled are named, and not waited for. It reaps nothing: the caller does, on the same thread and
// not inside of a call.
class PauseTree {
public:
    using Clock = std::chrono::steady_clock;
    enum class State : std::uint8_t { running, pausing, paused };

    // Where no look has held for so long, pausing is given up, and what was stopped goes on.
    static constexpr std::chrono::seconds kPatience{20};

    // Starts to pause, at once.
    void pause(Clock::time_point now);

    // Continues what pause() has stopped, children before their parents, so that no shell takes a child for
    // one that its user has stopped.
    void resume();

    // The tree is about to be ended: it is not held any more, and nothing is sent.
    void abandon();

    // Does what is due.
    void advance(Clock::time_point now);

    // When advance() has something to do next.
    std::optional<Clock::time_point> due() const noexcept { return due_; }

    State state() const noexcept { return state_; }

    // Those that may not be signalled, and run on.
    const std::vector<pid_t>& unstoppable() const noexcept { return unstoppable_; }

private:
    struct Seen {
        std::uint64_t start_time = 0;
        bool is_corpse = false;
        std::optional<Clock::time_point> asleep_since{};
    };
    using Look = std::unordered_map<pid_t, Seen>;
    enum class Sight : std::uint8_t { moving, asleep, held };  // asleep: held but for some that sleep

    Sight look(Clock::time_point now);
    const Seen* known(pid_t pid, std::uint64_t start_time) const;

    State state_ = State::running;
    ProcessTree tree_;
    std::unordered_map<pid_t, std::uint64_t> stopped_;  // by us: pid and start time
    Look last_;                                         // what the last look saw
    std::vector<pid_t> unstoppable_;
    bool has_sleepers_ = false;  // in the last look
    std::optional<Clock::time_point> due_;
    Clock::time_point give_up_at_{};
    std::chrono::milliseconds wait_{1};
};

}  // namespace cancelable
