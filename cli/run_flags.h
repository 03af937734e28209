#pragma once

#include <string>
#include <vector>

#include "cli/config/config.h"
#include "cli/config/keys.h"
#include "cli/globals.h"

namespace cancelable::cli {

class Options;

// The flags of `run`, and what they come to on top of the configuration and the environment.
//
// Every flag comes from the table of keys, so that none of them lacks a default in the configuration.
class RunFlags {
public:
    // This object must outlive the parsing.
    void declare(Options& options);

    // Whether this key was set by a flag, to whatever.
    bool was_said(std::string_view section, std::string_view name) const noexcept;

    // Reads the configuration, once for all commands.
    Result<> load(const Globals& globals);

    // Flags beat the environment, and that beats the file. Which of the file's defaults count depends on the
    // name, which is that of the settings or the command's base name. `run.name` is never empty afterwards.
    Result<Settings> settings_for(const std::string& command) const;

private:
    struct Said {
        const Key* key;
        Value value;
    };
    void declare(Options& options, const Key& key);
    Result<> lay_on_top(Settings& settings) const;

    std::vector<Said> said_;
    Config config_;
};

// As basename(1) has it.
std::string base_name(const std::string& path);

}  // namespace cancelable::cli
