#include "cli/config/config.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "cli/nearest.h"
#include "cli/render/text.h"
#include "engine/directories.h"
#include "engine/process/fd.h"
#include "engine/selector.h"

namespace cancelable::cli {

// Walks the parsed file and checks it against the table of keys.
class ConfigReader {
public:
    ConfigReader(Config& config, const std::string& path) : config_(config), path_(path) {}

    Result<> read(const toml::table& root) {
        for (const auto& [name, node] : root) {
            if (!is_section(name.str())) return unknown("section", "", name, section_names());
            const toml::table* table = node.as_table();
            if (table == nullptr) return wrong(node, fmt::format("[{}] must be a table", name.str()));
            if (auto done = read_section(name.str(), *table); !done) return done;
        }
        return {};
    }

    // Not a usage error: the command line that came upon the file may be as right as can be.
    std::unexpected<Error> wrong_at(const toml::source_position& at, std::string_view sentence) const {
        return failure(ErrorCode::damaged,
                       fmt::format("{}:{}:{}: {}", path_, at.line, at.column, printable(sentence)));
    }

private:
    static std::vector<std::string_view> section_names() {
        std::vector<std::string_view> names;
        for (const Key& key : all_keys())
            if (names.empty() || names.back() != key.section) names.push_back(key.section);
        return names;
    }

    static bool is_section(std::string_view name) {
        for (const std::string_view known : section_names())
            if (known == name) return true;
        return false;
    }

    std::unexpected<Error> wrong(const toml::node& node, std::string_view sentence) const {
        return wrong_at(node.source().begin, sentence);
    }

    std::unexpected<Error> unknown(std::string_view kind, std::string_view where, const toml::key& name,
                                   const std::vector<std::string_view>& known) const {
        return wrong_at(name.source().begin, fmt::format("unknown {} {}{}{}", kind, in_quotes(name.str()),
                                                         where, did_you_mean(name.str(), known)));
    }

    static std::vector<std::string_view> key_names(std::string_view section, bool with_match) {
        std::vector<std::string_view> names;
        for (const Key& key : all_keys())
            if (key.section == section) names.push_back(key.name);
        if (with_match) names.emplace_back("match");
        return names;
    }

    Result<> read_section(std::string_view section, const toml::table& table) {
        for (const auto& [name, node] : table) {
            if (section == "run" && name.str() == "match") {
                if (auto done = read_matches(node); !done) return done;
                continue;
            }
            const Key* key = find_key(section, name.str());
            if (key == nullptr)
                return unknown("key", fmt::format(" in [{}]", section), name,
                               key_names(section, section == "run"));
            const auto value = read_value(*key, node, config_.settings_);
            if (!value) return std::unexpected(value.error());
        }
        return {};
    }

    Result<> read_matches(const toml::node& node) {
        const toml::array* blocks = node.as_array();
        if (blocks == nullptr) return wrong(node, "run.match must be written as [[run.match]]");
        for (const toml::node& block : *blocks) {
            const toml::table* table = block.as_table();
            if (table == nullptr) return wrong(block, "run.match must be written as [[run.match]]");
            if (auto done = read_match(*table); !done) return done;
        }
        return {};
    }

    Result<> read_match(const toml::table& table) {
        Config::Match match;
        const auto glob = table["name"].value<std::string>();
        if (!glob) return wrong(table, "[[run.match]] needs name = \"a glob\"");
        match.glob = *glob;
        for (const auto& [name, node] : table) {
            if (name.str() == "name") continue;
            const Key* key = find_key("run", name.str());
            if (key == nullptr) return unknown("key", " in [[run.match]]", name, key_names("run", false));
            Settings scratch;
            auto value = read_value(*key, node, scratch);
            if (!value) return std::unexpected(value.error());
            match.assignments.push_back({key, std::move(*value)});
        }
        config_.matches_.push_back(std::move(match));
        return {};
    }

    // Converts a node, and tries it on `settings`.
    Result<Value> read_value(const Key& key, const toml::node& node, Settings& settings) const {
        auto value = convert(node);
        if (!value) return wrong(node, fmt::format("{}: holds something that no setting takes", key.name));
        if (const auto set = key.set(settings, *value); !set)
            return wrong(node, fmt::format("{}: {}", key.name, set.error().sentence()));
        return std::move(*value);
    }

    static std::optional<Value> convert(const toml::node& node) {
        if (const auto* boolean = node.as_boolean()) return Value(boolean->get());
        if (const auto* integer = node.as_integer()) return Value(integer->get());
        if (const auto* number = node.as_floating_point()) return Value(number->get());
        if (const auto* text = node.as_string()) return Value(text->get());
        if (const auto* array = node.as_array()) {
            std::vector<std::string> texts;
            for (const toml::node& entry : *array) {
                const auto text = entry.value<std::string>();
                if (!text) return std::nullopt;
                texts.push_back(*text);
            }
            return Value(std::move(texts));
        }
        const toml::table* table = node.as_table();
        if (table == nullptr) return std::nullopt;
        Pairs pairs;
        for (const auto& [name, entry] : *table) {
            const auto text = entry.value<std::string>();
            if (!text) return std::nullopt;
            pairs.emplace_back(name.str(), *text);
        }
        return Value(std::move(pairs));
    }

    Config& config_;
    const std::string& path_;
};

namespace {

Result<std::string> read_whole(int fd, const std::string& path) {
    std::string text;
    char buffer[4096];
    // Nobody writes a configuration this long; a device that never ends is not read for ever.
    constexpr std::size_t kLimit = 1 << 20;
    while (text.size() <= kLimit) {
        const ssize_t got = retry_eintr([&] { return ::read(fd, buffer, sizeof buffer); });
        if (got < 0) return system_error(fmt::format("cannot read \"{}\"", path));
        if (got == 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return failure(ErrorCode::limit, fmt::format("\"{}\" is longer than 1 MiB", path));
}

}  // namespace

Result<Config> Config::parse(std::string_view text, const std::string& path) {
    Config config;
    config.path_ = path;
    config.exists_ = true;
    ConfigReader reader(config, path);
    const toml::parse_result parsed = toml::parse(text, path);
    if (!parsed) return reader.wrong_at(parsed.error().source().begin, parsed.error().description());
    if (auto read = reader.read(parsed.table()); !read) return std::unexpected(read.error());
    return config;
}

std::string Config::path_for(const std::string& path) {
    if (!path.empty()) return path;
    const char* said = std::getenv("CANCELABLE_CONFIG");
    if (said != nullptr && said[0] != '\0') return said;
    const auto directory = default_config_directory();
    return directory ? *directory + "/config.toml" : std::string();
}

Result<Config> Config::load(const std::string& path) {
    Config config;
    config.path_ = path_for(path);
    // Without a home there is no file, and that is all right.
    if (config.path_.empty()) return config;
    const auto file = open_file(config.path_.c_str(), O_RDONLY | O_NOCTTY);
    if (!file) {
        const bool is_absent = file.error().os_errno == ENOENT || file.error().os_errno == ENOTDIR;
        const char* said = std::getenv("CANCELABLE_CONFIG");
        const bool was_named = !path.empty() || (said != nullptr && said[0] != '\0');
        if (was_named || !is_absent) return std::unexpected(file.error());
        return config;
    }
    const auto text = read_whole(file->get(), config.path_);
    if (!text) return std::unexpected(text.error());
    return parse(*text, config.path_);
}

Settings Config::settings_for(const std::string& name) const {
    Settings settings = settings_;
    for (const Match& match : matches_) {
        if (!glob_matches(match.glob, name)) continue;
        // Each of them was tried when the file was read: none can fail now.
        for (const Assignment& assignment : match.assignments)
            (void)assignment.key->set(settings, assignment.value);
    }
    return settings;
}

}  // namespace cancelable::cli
