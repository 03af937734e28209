#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/config/keys.h"
#include "cli/config/settings.h"
#include "engine/process/error.h"

namespace cancelable::cli {

// The configuration file, read and checked as a whole.
class Config {
public:
    // `path` empty: CANCELABLE_CONFIG, else the default file, and nothing is wrong where that does not exist.
    // An error names file, line and column, and for an unknown key the nearest known one.
    static Result<Config> load(const std::string& path);

    // Where load() would look; empty where no home is known.
    static std::string path_for(const std::string& path);

    // As load(), from text; `path` is for the errors.
    static Result<Config> parse(std::string_view text, const std::string& path);

    // Defaults, then the file. What the environment says is not in it: see apply_environment.
    Settings settings() const { return settings_; }

    // As settings(), with the [[run.match]] blocks whose glob fits the name, in the order of the file.
    Settings settings_for(const std::string& name) const;

    const std::string& path() const noexcept { return path_; }
    bool exists() const noexcept { return exists_; }

private:
    struct Assignment {
        const Key* key;
        Value value;
    };
    struct Match {
        std::string glob;
        std::vector<Assignment> assignments;
    };
    friend class ConfigReader;

    std::string path_;
    bool exists_ = false;
    Settings settings_;
    std::vector<Match> matches_;
};

}  // namespace cancelable::cli
