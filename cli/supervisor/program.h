#pragma once

#include "cli/globals.h"

namespace cancelable::cli {

struct SupervisorProgramOptions {
    bool on_demand = false;  // leave when idle for long enough
    int ready_fd = -1;  // who started it waits there for "ok", "busy" or a sentence; -1: a person watches
};

// `cancelable supervisor run`: the supervisor from its lock to its last operation. Returns its exit status.
//
// The first INT, TERM, HUP or QUIT cancels every operation, with reason `shutdown`, and it leaves when all
// are gone; a second INT or TERM hurries them.
int run_supervisor(const Globals& globals, const SupervisorProgramOptions& options);

}  // namespace cancelable::cli
