#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/process/fd.h"

namespace cancelable {

// The processes that were started with certain variables in their environment, and what descends from them,
// each held by a pidfd. For trees that have lost the subreaper above them: what a process was started with
// goes along to its children, wherever these hide, unless one of them clears it.
//
// The proof, for a marked process: it is pinned by a pidfd, then its environment is read and has the marks,
// then it is seen not to have been reaped. So the number was its own all the time. For a child of one that is
// held the proof is that of ProcessTree. This process itself is never among them.
class MarkedProcesses {
public:
    using Marks = std::vector<std::string>;  // KEY=VALUE; all of them must be there

    explicit MarkedProcesses(Marks marks) : marks_(std::move(marks)) {}

    // One pass over /proc; returns how many it found that were not held. Corpses are not held.
    std::size_t grow();

    void signal(int number, std::vector<pid_t>& refused) const;

    // Lets go of those that have died.
    void forget_dead();

    void clear();
    std::size_t size() const noexcept { return held_.size(); }

private:
    bool hold(pid_t pid, const std::function<bool()>& is_ours);
    bool has_marks(pid_t pid) const;

    Marks marks_;
    std::unordered_map<pid_t, UniqueFd> held_;
};

// Ends them the hard way: stops all, pass after pass, until a pass finds no new one, kills them, and repeats
// until passes find nothing any more. Blocks; returns those that may not be signalled. `wanted` is asked
// before each round: false makes it leave early.
std::vector<pid_t> end_marked(const MarkedProcesses::Marks& marks, const std::function<bool()>& wanted);

}  // namespace cancelable
