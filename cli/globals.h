#pragma once

#include <optional>
#include <string>

#include "cli/render/colors.h"
#include "engine/process/error.h"

namespace cancelable::cli {

// What can be said before every verb, and after it as well.
struct Globals {
    std::string socket;  // as given; empty: CANCELABLE_SOCKET, else the default one
    std::string config;  // as given; empty: CANCELABLE_CONFIG, else the default one
    std::optional<ColorChoice> color;
    bool quiet = false;         // no notices; errors are always told
    bool verbose = false;       // says what is done on the way
    unsigned closed_stdio = 0;  // bit n: descriptor n was closed when the program started

    // The socket's absolute path.
    Result<std::string> socket_path() const;

    // The configuration file that was named, by flag or environment, made absolute; empty where the default
    // one is meant.
    std::string named_config() const;
};

class Options;

// `quiet_has_short_form`: false where -q means something else to the verb.
void add_globals(Options& options, Globals& globals, bool quiet_has_short_form = true);

}  // namespace cancelable::cli
