#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/globals.h"

namespace cancelable::cli {

// What a verb is given: the words behind its name, and what was said before it. Verbs build only their own
// options.
using Words = std::vector<std::string>;

// Each returns the exit status of the program.
int verb_run(Globals globals, const Words& words);
int verb_list(Globals globals, const Words& words);
int verb_cancel(Globals globals, const Words& words);
int verb_pause(Globals globals, const Words& words);
int verb_resume(Globals globals, const Words& words);
int verb_signal(Globals globals, const Words& words);
int verb_show(Globals globals, const Words& words);
int verb_wait(Globals globals, const Words& words);
int verb_logs(Globals globals, const Words& words);
int verb_events(Globals globals, const Words& words);
int verb_prune(Globals globals, const Words& words);
int verb_stats(Globals globals, const Words& words);
int verb_current(Globals globals, const Words& words);
int verb_progress(Globals globals, const Words& words);
int verb_result(Globals globals, const Words& words);
int verb_shield(Globals globals, const Words& words);
int verb_supervisor(Globals globals, const Words& words);
int verb_config(Globals globals, const Words& words);

struct Verb {
    std::string_view name;
    std::string_view aliases;  // separated by blanks
    std::string_view summary;
    int (*perform)(Globals globals, const Words& words);
};

std::span<const Verb> all_verbs() noexcept;

// By name or alias; null where there is none.
const Verb* find_verb(std::string_view word) noexcept;

}  // namespace cancelable::cli
