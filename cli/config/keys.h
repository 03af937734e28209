#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cli/config/settings.h"
#include "engine/process/error.h"

namespace cancelable::cli {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// What a key may be set to, as the configuration file has it. Flags and the environment give text, which
// every key takes as well.
using Value = std::variant<bool, std::int64_t, double, std::string, Pairs, std::vector<std::string>>;

// One setting: its place in the configuration, its flag of `run`, and how it is read and shown.
struct Key {
    std::string_view section;
    std::string_view name;
    std::string_view flag;  // names as the command line has them; empty: none. A placeholder: takes a value
    std::string_view placeholder;
    std::string_view help;
    Result<> (*set)(Settings& settings, const Value& value);
    std::string (*show)(const Settings& settings);  // as a TOML value
};

// Every key there is. The parser, the flags of `run`, `config show` and the test of
// share/config/cancelable.toml all go by this table, so that none can forget one.
std::span<const Key> all_keys() noexcept;

// Null where there is none.
const Key* find_key(std::string_view section, std::string_view name) noexcept;

// The variable that sets a key: CANCELABLE_RUN_TIMEOUT.
std::string environment_variable(const Key& key);

// Sets what the environment says; its error names the variable.
Result<> apply_environment(Settings& settings);

// As TOML writes a string, with everything escaped that needs it.
std::string toml_string(std::string_view text);

}  // namespace cancelable::cli
