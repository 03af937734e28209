#include "cli/verbs/verbs.h"

#include <array>

namespace cancelable::cli {
namespace {

constexpr std::array kVerbs{
    Verb{"run", "", "run a command as an operation", verb_run},
    Verb{"list", "ls ps", "list operations", verb_list},
    Verb{"cancel", "stop kill", "end operations, and return when they are gone", verb_cancel},
    Verb{"pause", "", "still operations and all that they started", verb_pause},
    Verb{"resume", "", "continue paused operations", verb_resume},
    Verb{"signal", "", "send a signal to operations", verb_signal},
    Verb{"show", "inspect", "show one operation in full", verb_show},
    Verb{"wait", "", "wait until operations have ended", verb_wait},
    Verb{"logs", "", "print what an operation has written", verb_logs},
    Verb{"events", "", "print what happens to operations as it happens", verb_events},
    Verb{"stats", "", "numbers about all operations", verb_stats},
    Verb{"prune", "clean", "forget ended operations, with their logs", verb_prune},
    Verb{"current", "", "print the operation that this is part of", verb_current},
    Verb{"progress", "", "say how far the operation is that this is part of", verb_progress},
    Verb{"result", "", "put down what has come of it", verb_result},
    Verb{"shield", "", "run a command that a cancelation waits for", verb_shield},
    Verb{"supervisor", "", "run, start, stop, restart the supervisor, or ask how it is", verb_supervisor},
    Verb{"config", "", "show and check the configuration", verb_config},
};

bool is_among(std::string_view word, std::string_view aliases) noexcept {
    while (!aliases.empty()) {
        const auto blank = aliases.find(' ');
        if (aliases.substr(0, blank) == word) return true;
        if (blank == std::string_view::npos) return false;
        aliases.remove_prefix(blank + 1);
    }
    return false;
}

}  // namespace

std::span<const Verb> all_verbs() noexcept {
    return kVerbs;
}

const Verb* find_verb(std::string_view word) noexcept {
    for (const Verb& verb : kVerbs)
        if (verb.name == word || is_among(word, verb.aliases)) return &verb;
    return nullptr;
}

}  // namespace cancelable::cli
