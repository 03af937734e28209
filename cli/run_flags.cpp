#include "cli/run_flags.h"

#include <algorithm>
#include <utility>

#include "cli/options.h"

namespace cancelable::cli {

std::string base_name(const std::string& path) {
    const auto end = path.find_last_not_of('/');
    if (end == std::string::npos) return path;
    const auto slash = path.rfind('/', end);
    return path.substr(slash == std::string::npos ? 0 : slash + 1,
                       end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

void RunFlags::declare(Options& options) {
    for (const Key& key : all_keys())
        if (key.section == "run") declare(options, key);
    options.group("With --batch");
    for (const Key& key : all_keys())
        if (key.section == "batch") declare(options, key);
    options.group("Options");
}

void RunFlags::declare(Options& options, const Key& key) {
    if (!key.placeholder.empty()) {
        options.value(key.flag, key.placeholder, key.help, [this, &key](const std::string& text) -> Result<> {
            Settings scratch;
            if (auto set = key.set(scratch, text); !set) return set;
            said_.push_back({&key, text});
            return {};
        });
        return;
    }
    options.flag(key.flag, key.help, [this, &key] { said_.push_back({&key, true}); });
    // --no-log is in the contract; the others are for who has set them in the configuration.
    if (key.name != "log") options.group("");
    options.negation(key.flag, "they go where this command's go",
                     [this, &key] { said_.push_back({&key, false}); });
    options.group(key.section == "batch" ? "With --batch" : "Options");
}

bool RunFlags::was_said(std::string_view section, std::string_view name) const noexcept {
    return std::ranges::any_of(
        said_, [&](const Said& flag) { return flag.key->section == section && flag.key->name == name; });
}

Result<> RunFlags::load(const Globals& globals) {
    auto config = Config::load(globals.config);
    if (!config) return std::unexpected(config.error());
    config_ = std::move(*config);
    return {};
}

Result<> RunFlags::lay_on_top(Settings& settings) const {
    if (auto applied = apply_environment(settings); !applied) return applied;
    for (const Said& flag : said_)
        if (auto set = flag.key->set(settings, flag.value); !set) return set;
    return {};
}

Result<Settings> RunFlags::settings_for(const std::string& command) const {
    Settings general = config_.settings();
    if (auto laid = lay_on_top(general); !laid) return std::unexpected(laid.error());
    const std::string name = general.run.name.empty() ? base_name(command) : general.run.name;
    Settings settings = config_.settings_for(name);
    if (auto laid = lay_on_top(settings); !laid) return std::unexpected(laid.error());
    settings.run.name = name;
    return settings;
}

}  // namespace cancelable::cli
