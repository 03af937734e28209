#pragma once

#include <string>
#include <vector>

#include "cli/globals.h"
#include "cli/verbs/verbs.h"

namespace cancelable::cli {

// argv taken apart: what was said before the verb, the verb, and the words behind it.
struct Invocation {
    Globals globals;
    bool help = false;
    bool version = false;
    const Verb* verb = nullptr;  // null with help and version; `list` where none was named
    Words words;
};

// Reads argv up to the verb. An error is a usage error, and names the nearest known word.
Result<Invocation> parse_invocation(const std::vector<std::string>& arguments);

// The help of the program itself.
std::string general_help();

// The whole program: returns its exit status.
int run_application(int argc, char** argv);

}  // namespace cancelable::cli
