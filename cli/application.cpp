#include "cli/application.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>

#include "cli/caller.h"
#include "cli/nearest.h"
#include "cli/options.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "version.h"

namespace cancelable::cli {
namespace {

constexpr std::string_view kGlobalOptions[] = {"--socket",  "--config", "--color",  "--quiet",
                                               "--verbose", "--help",   "--version"};

std::unexpected<Error> usage(std::string sentence) {
    return failure(ErrorCode::usage, std::move(sentence) + " (see cancelable --help)");
}

// Those that take a value, as "--socket PATH" or "--socket=PATH". Moves `at` to the value where that is a
// word of its own. Nothing where the word is none of them.
Result<bool> take_valued(const std::vector<std::string>& arguments, std::size_t& at, Globals& globals) {
    const std::string& word = arguments[at];
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (name != "--socket" && name != "--config" && name != "--color") return false;
    if (equals == std::string::npos && at + 1 == arguments.size()) return usage(name + " needs a value");
    const std::string value = equals == std::string::npos ? arguments[++at] : word.substr(equals + 1);
    if (name == "--color") {
        globals.color = parse_color_choice(value);
        if (!globals.color)
            return usage(fmt::format("--color: {} is none of auto, always and never", in_quotes(value)));
    } else {
        if (value.empty()) return usage(name + ": the path is empty");
        (name == "--socket" ? globals.socket : globals.config) = value;
    }
    return true;
}

std::unexpected<Error> unknown_verb(const std::string& word) {
    std::vector<std::string_view> known;
    for (const Verb& verb : all_verbs())
        known.push_back(verb.name);
    for (const std::string_view alias : {"ls", "ps", "stop", "kill", "inspect"})
        known.push_back(alias);
    return usage(fmt::format("unknown verb {}{}", in_quotes(word), did_you_mean(word, known)));
}

}  // namespace

Result<Invocation> parse_invocation(const std::vector<std::string>& arguments) {
    Invocation invocation;
    std::size_t at = 0;
    for (; at < arguments.size(); ++at) {
        const std::string& word = arguments[at];
        if (!word.starts_with('-')) break;
        const auto valued = take_valued(arguments, at, invocation.globals);
        if (!valued) return std::unexpected(valued.error());
        if (*valued) continue;
        if (word == "-q" || word == "--quiet")
            invocation.globals.quiet = true;
        else if (word == "-v" || word == "--verbose")
            invocation.globals.verbose = true;
        else if (word == "-h" || word == "--help")
            invocation.help = true;
        else if (word == "--version")
            invocation.version = true;
        else
            break;  // an option of `list`, or of nothing
    }
    if (invocation.help || invocation.version) return invocation;
    if (at == arguments.size()) {
        invocation.verb = find_verb("list");
        return invocation;
    }
    if (arguments[at].starts_with('-')) {
        // Without a verb the options of `list` are meant; what only looks like a global one is told as such.
        const std::string nearest =
            nearest_word(arguments[at].substr(0, arguments[at].find('=')), kGlobalOptions);
        if (!nearest.empty())
            return usage(
                fmt::format("unknown option {}; did you mean \"{}\"?", in_quotes(arguments[at]), nearest));
        invocation.verb = find_verb("list");
    } else if (arguments[at] == "help") {
        // `cancelable help run` is what many people try first.
        if (at + 1 == arguments.size())
            invocation.help = true;
        else if (invocation.verb = find_verb(arguments[at + 1]); invocation.verb == nullptr)
            return unknown_verb(arguments[at + 1]);
        invocation.words = {"--help"};
        return invocation;
    } else {
        invocation.verb = find_verb(arguments[at]);
        if (invocation.verb == nullptr) return unknown_verb(arguments[at]);
        ++at;
    }
    invocation.words.assign(arguments.begin() + static_cast<std::ptrdiff_t>(at), arguments.end());
    return invocation;
}

std::string general_help() {
    std::string text =
        "Runs commands as operations, for which cancelled means gone: every process that they ever\n"
        "started is proved dead before anyone is told that it is over.\n"
        "\n"
        "Usage: cancelable [OPTIONS] [VERB ...]     (no verb: list)\n"
        "\n"
        "Verbs:\n";
    for (const Verb& verb : all_verbs()) {
        const std::string names =
            verb.aliases.empty() ? std::string(verb.name) : fmt::format("{} ({})", verb.name, verb.aliases);
        text += fmt::format("  {:<22}{}\n", names, verb.summary);
    }
    text +=
        "\n"
        "Options:\n"
        "  --socket PATH         the supervisor's socket\n"
        "  --config FILE         the configuration file\n"
        "  --color WHEN          auto, always or never\n"
        "  -q, --quiet           no notices, only errors\n"
        "  -v, --verbose         say what is done on the way\n"
        "  --version             the version\n"
        "  -h, --help            this text; \"cancelable VERB --help\" says more\n"
        "\n"
        "Examples:\n"
        "  cancelable run --timeout 10m make -j8\n"
        "      Ctrl-C, or ten minutes, end make and all that it started\n"
        "  cancelable cancel 'user_42_*'\n"
        "      ends every operation of such a name, and returns when all are gone\n";
    return text;
}

int run_application(int argc, char** argv) {
    const unsigned closed_stdio = fill_closed_stdio();
    // A reader that goes away shows as EPIPE, where it can be answered.
    std::signal(SIGPIPE, SIG_IGN);
    auto invocation = parse_invocation(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    if (!invocation) return report(invocation.error());
    if (invocation->help) return print(general_help());
    if (invocation->version) return print(fmt::format("cancelable {}\n", kVersion));
    invocation->globals.closed_stdio = closed_stdio;
    return invocation->verb->perform(std::move(invocation->globals), invocation->words);
}

}  // namespace cancelable::cli
