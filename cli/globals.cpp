#include "cli/globals.h"

#include <climits>
#include <cstdlib>

#include "cli/options.h"
#include "cli/render/text.h"
#include "engine/directories.h"

namespace cancelable::cli {

Result<std::string> Globals::socket_path() const {
    if (!socket.empty()) return resolve_socket_path(socket);
    const char* said = std::getenv("CANCELABLE_SOCKET");
    return resolve_socket_path(said != nullptr ? said : "");
}

std::string Globals::named_config() const {
    const char* said = std::getenv("CANCELABLE_CONFIG");
    std::string named = config.empty() && said != nullptr ? said : config;
    if (named.empty()) return named;
    char absolute[PATH_MAX];
    // Where there is no such file, the one who opens it says so.
    return ::realpath(named.c_str(), absolute) != nullptr ? absolute : named;
}

void add_globals(Options& options, Globals& globals, bool quiet_has_short_form) {
    options.group("Everywhere");
    options.value("--socket", "PATH", "the supervisor's socket", [&](const std::string& text) -> Result<> {
        if (text.empty()) return failure(ErrorCode::usage, "the path is empty");
        globals.socket = text;
        return {};
    });
    options.text("--config", "FILE", "the configuration file", globals.config);
    options.value("--color", "WHEN", "auto, always or never", [&](const std::string& text) -> Result<> {
        globals.color = parse_color_choice(text);
        if (!globals.color)
            return failure(ErrorCode::usage, in_quotes(text) + " is none of auto, always and never");
        return {};
    });
    options.flag(quiet_has_short_form ? "-q,--quiet" : "--quiet", "no notices, only errors", globals.quiet);
    options.flag("-v,--verbose", "say what is done on the way", globals.verbose);
}

}  // namespace cancelable::cli
