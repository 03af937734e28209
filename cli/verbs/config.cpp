#include "cli/config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/nearest.h"
#include "cli/options.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/verbs/verbs.h"

namespace cancelable::cli {
namespace {

constexpr std::array<std::string_view, 3> kActions{"path", "show", "check"};

std::string as_toml(const Settings& settings) {
    std::string text;
    std::string_view section;
    for (const Key& key : all_keys()) {
        if (key.section != section) text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", key.section);
        section = key.section;
        text += fmt::format("{} = {}\n", key.name, key.show(settings));
    }
    return text;
}

int show(const Config& config, const std::string& name) {
    Settings settings = name.empty() ? config.settings() : config.settings_for(name);
    if (auto applied = apply_environment(settings); !applied) return report(applied.error());
    return print(as_toml(settings));
}

int check(const Globals& globals, const Config& config) {
    Settings settings = config.settings();
    if (auto applied = apply_environment(settings); !applied) return report(applied.error());
    if (!config.exists())
        report_notice(
            globals, fmt::format("there is no file {}: the defaults are in force", in_quotes(config.path())));
    else
        report_notice(globals, fmt::format("{} is fine", in_quotes(config.path())));
    return kExitOk;
}

}  // namespace

int verb_config(Globals globals, const Words& words) {
    Options options("config",
                    "path: where the file is. show: what is in force. check: what is wrong with the file.");
    options.example("cancelable config show", "every setting, as the file and the environment have it");
    options.example("cancelable config show train_7",
                    "the same for an operation of that name, with its [[run.match]]");
    Words said;
    options.words("path|show|check", "what to do; show takes the name of an operation as well", said);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    const std::string action = said.empty() ? "" : said.front();
    const bool takes_more = action == "show";
    if (said.empty() || said.size() > (takes_more ? 2U : 1U)) {
        report_error("config needs one of path, show and check: cancelable config show [NAME]");
        return kExitUsage;
    }
    if (std::ranges::find(kActions, action) == kActions.end()) {
        report_error(fmt::format("config has no {}{}", in_quotes(action), did_you_mean(action, kActions)));
        return kExitUsage;
    }
    if (action == "path") return print(Config::path_for(globals.config) + "\n");
    const auto config = Config::load(globals.config);
    if (!config) return report(config.error());
    if (action == "check") return check(globals, *config);
    return show(*config, said.size() == 2 ? said[1] : "");
}

}  // namespace cancelable::cli
