#pragma once

#include <string>

#include "cli/globals.h"
#include "cli/run_flags.h"
#include "cli/verbs/verbs.h"

namespace cancelable::cli {

// What `run --batch` is to read.
struct BatchInput {
    std::string path;  // "-": the standard input
    bool null_separated = false;
};

// Performs `run --batch`, whose flags have been read and loaded; `command` is the template, or empty. The
// exit status of the program.
int run_batch(const Globals& globals, const RunFlags& flags, const BatchInput& input, Words command);

}  // namespace cancelable::cli
