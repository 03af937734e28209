#include "cli/config/keys.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "cli/nearest.h"
#include "cli/render/text.h"
#include "engine/process/signal_names.h"
#include "engine/quantity.h"
#include "engine/sources/parse.h"

namespace cancelable::cli {
namespace {

std::unexpected<Error> wrong(std::string sentence) {
    return failure(ErrorCode::usage, std::move(sentence));
}

Result<bool> as_boolean(const Value& value) {
    if (const bool* said = std::get_if<bool>(&value)) return *said;
    if (const auto* text = std::get_if<std::string>(&value)) {
        if (*text == "true" || *text == "1") return true;
        if (*text == "false" || *text == "0") return false;
    }
    return wrong("must be true or false");
}

Result<std::string> as_text(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return wrong("must be a string in quotes");
}

// A number in the file is seconds, as a bare number is everywhere.
Result<std::chrono::milliseconds> as_duration(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return parse_duration(*text);
    if (const auto* number = std::get_if<std::int64_t>(&value))
        return parse_duration(std::to_string(*number));
    if (const auto* number = std::get_if<double>(&value)) return parse_duration(fmt::format("{:f}", *number));
    return wrong("must be a duration, as \"10s\"");
}

Result<std::chrono::milliseconds> as_time_limit(const Value& value) {
    auto limit = as_duration(value);
    if (limit && limit->count() == 0) return wrong("must be more than 0");
    return limit;
}

Result<std::size_t> as_count(const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value); number != nullptr && *number >= 0)
        return static_cast<std::size_t>(*number);
    if (const auto* text = std::get_if<std::string>(&value)) {
        std::size_t number = 0;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
        if (error == std::errc{} && end == text->data() + text->size()) return number;
    }
    return wrong("must be a whole number that is not negative");
}

Result<int> as_signal(const Value& value) {
    std::string text;
    if (const auto* said = std::get_if<std::string>(&value))
        text = *said;
    else if (const auto* number = std::get_if<std::int64_t>(&value))
        text = std::to_string(*number);
    if (const auto signal = parse_signal(text)) return *signal;
    return wrong(in_quotes(text) + " is no signal: write TERM, SIGTERM or 15");
}

// A table in the file; each time KEY=VALUE on the command line.
Result<Pairs> as_pairs(const Value& value) {
    if (const auto* pairs = std::get_if<Pairs>(&value)) return *pairs;
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return wrong("must be a table, as { KEY = \"value\" }");
    const auto equals = text->find('=');
    if (equals == std::string::npos || equals == 0) return wrong(in_quotes(*text) + " is not KEY=VALUE");
    return Pairs{{text->substr(0, equals), text->substr(equals + 1)}};
}

// One of a few words. `nearest` is told where what was typed comes close.
template <std::size_t Size>
Result<std::size_t> as_choice(const Value& value, const std::array<std::string_view, Size>& words) {
    const auto text = as_text(value);
    if (!text) return std::unexpected(text.error());
    const auto found = std::ranges::find(words, *text);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    return wrong(fmt::format("{} is none of {}{}", in_quotes(*text), fmt::join(words, ", "),
                             did_you_mean(*text, words)));
}

// Puts a converted value in its place, or passes the error on.
template <class Target, class Converted>
Result<> put(Target& target, Converted&& converted) {
    if (!converted) return std::unexpected(converted.error());
    target = *std::forward<Converted>(converted);
    return {};
}

void merge(Pairs& into, const Pairs& from) {
    for (const auto& [key, value] : from) {
        const auto known = std::ranges::find(into, key, &std::pair<std::string, std::string>::first);
        if (known == into.end())
            into.emplace_back(key, value);
        else
            known->second = value;
    }
    std::ranges::sort(into);
}

Result<> merge_value(Pairs& into, const Value& value) {
    const auto pairs = as_pairs(value);
    if (!pairs) return std::unexpected(pairs.error());
    merge(into, *pairs);
    return {};
}

std::string show_boolean(bool value) {
    return value ? "true" : "false";
}

std::string show_pairs(const Pairs& pairs) {
    std::string out;
    for (const auto& [key, value] : pairs)
        out += fmt::format("{}{} = {}", out.empty() ? "" : ", ", toml_string(key), toml_string(value));
    return out.empty() ? "{}" : "{ " + out + " }";
}

// Exact, so that what is shown reads back as the same.
std::string show_duration(std::chrono::milliseconds duration) {
    const auto ms = duration.count();
    if (ms % 1000 != 0) return fmt::format("\"{}ms\"", ms);
    if (ms == 0 || ms % 60'000 != 0) return fmt::format("\"{}s\"", ms / 1000);
    return ms % 3'600'000 != 0 ? fmt::format("\"{}m\"", ms / 60'000) : fmt::format("\"{}h\"", ms / 3'600'000);
}

// Some are written as a number or as text.
std::string text_of(const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    const auto* text = std::get_if<std::string>(&value);
    return text == nullptr ? std::string() : *text;
}

constexpr std::array<std::string_view, 3> kOrphans{"kill", "wait", "leave"};
constexpr std::array<std::string_view, 2> kOnDisconnect{"cancel", "keep"};
constexpr std::array<std::string_view, 3> kLog{"auto", "true", "false"};
constexpr std::array<std::string_view, 3> kColor{"auto", "always", "never"};

Result<> set_log(Settings& settings, const Value& value) {
    if (const auto said = as_boolean(value))
        settings.run.log = *said;
    else if (const auto choice = as_choice(value, kLog))
        settings.run.log = std::nullopt;
    else
        return std::unexpected(choice.error());
    return {};
}

Result<> set_parent(Settings& settings, const Value& value) {
    std::string text;
    if (const auto* number = std::get_if<std::int64_t>(&value))
        text = std::to_string(*number);
    else if (const auto said = as_text(value))
        text = *said;
    else
        return std::unexpected(said.error());
    OperationId id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool is_id = error == std::errc{} && end == text.data() + text.size() && id != 0;
    if (!text.empty() && text != "none" && !is_id)
        return wrong(in_quotes(text) + " is neither an operation's id nor \"none\"");
    settings.run.parent = text;
    return {};
}

// Each adds to what was said before; "none" forgets that.
Result<> add_source(Settings& settings, const Value& value) {
    std::vector<std::string> texts;
    if (const auto* said = std::get_if<std::vector<std::string>>(&value))
        texts = *said;
    else if (const auto* text = std::get_if<std::string>(&value))
        texts = {*text};
    else
        return wrong("must be an array of strings, as [\"idle:10m\"]");
    for (const std::string& text : texts) {
        if (text == "none") {
            settings.run.cancel_on.clear();
            continue;
        }
        const auto source = parse_source(text);
        if (!source) return std::unexpected(source.error());
        settings.run.cancel_on.push_back(source->text);
    }
    return {};
}

std::string show_texts(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts)
        out += (out.empty() ? "" : ", ") + toml_string(text);
    return "[" + out + "]";
}

template <class Enum, std::size_t Size>
Result<> set_choice(Enum& target, const Value& value, const std::array<std::string_view, Size>& words) {
    const auto index = as_choice(value, words);
    if (!index) return std::unexpected(index.error());
    target = static_cast<Enum>(*index);
    return {};
}

// The functions of the table, one pair for each kind of member.
#define CANCELABLE_SETTER(expression) [](Settings& s, const Value& v) -> Result<> { return expression; }
#define CANCELABLE_SHOWER(expression) [](const Settings& s) -> std::string { return expression; }

constexpr std::array kKeys{
    Key{"run", "detach", "-d,--detach", "", "start it, print its id and return",
        CANCELABLE_SETTER(put(s.run.detach, as_boolean(v))), CANCELABLE_SHOWER(show_boolean(s.run.detach))},
    Key{"run", "name", "-n,--name", "NAME", "what it is called; default: the command's base name",
        CANCELABLE_SETTER(put(s.run.name, as_text(v))), CANCELABLE_SHOWER(toml_string(s.run.name))},
    Key{"run", "timeout", "-t,--timeout", "DURATION", "cancel it after so long; 0: never",
        CANCELABLE_SETTER(put(s.run.timeout, as_duration(v))),
        CANCELABLE_SHOWER(show_duration(s.run.timeout))},
    Key{"run", "grace", "--grace", "DURATION", "from the polite signal to SIGKILL (default 10s)",
        CANCELABLE_SETTER(put(s.run.grace, as_duration(v))), CANCELABLE_SHOWER(show_duration(s.run.grace))},
    Key{"run", "signal", "--signal", "SIGNAL", "the polite signal (default TERM)",
        CANCELABLE_SETTER(put(s.run.signal, as_signal(v))),
        CANCELABLE_SHOWER(toml_string(signal_name(s.run.signal).substr(3)))},
    Key{"run", "orphans", "--orphans", "WHAT", "what COMMAND leaves behind: kill (default), wait or leave",
        CANCELABLE_SETTER(set_choice(s.run.orphans, v, kOrphans)),
        CANCELABLE_SHOWER(toml_string(kOrphans[static_cast<std::size_t>(s.run.orphans)]))},
    Key{"run", "pause_timeouts", "--pause-timeouts", "", "the timeout does not run while it is paused",
        CANCELABLE_SETTER(put(s.run.pause_timeouts, as_boolean(v))),
        CANCELABLE_SHOWER(show_boolean(s.run.pause_timeouts))},
    Key{"run", "cwd", "-C,--cwd", "DIR", "where it runs; default: here",
        CANCELABLE_SETTER(put(s.run.cwd, as_text(v))), CANCELABLE_SHOWER(toml_string(s.run.cwd))},
    Key{"run", "env", "-e,--env", "KEY=VALUE", "a variable on top of the caller's; can be repeated",
        CANCELABLE_SETTER(merge_value(s.run.env, v)), CANCELABLE_SHOWER(show_pairs(s.run.env))},
    Key{"run", "tag", "--tag", "KEY=VALUE", "a mark to select it by; can be repeated",
        CANCELABLE_SETTER(merge_value(s.run.tags, v)), CANCELABLE_SHOWER(show_pairs(s.run.tags))},
    Key{"run", "parent", "--parent", "ID|none", "whose child it is; default: the operation around it",
        CANCELABLE_SETTER(set_parent(s, v)), CANCELABLE_SHOWER(toml_string(s.run.parent))},
    Key{"run", "log", "--log", "", "stdout and stderr go to its log; default: where detached",
        CANCELABLE_SETTER(set_log(s, v)),
        CANCELABLE_SHOWER(s.run.log ? show_boolean(*s.run.log) : std::string("\"auto\""))},
    Key{"run", "on_disconnect", "--on-disconnect", "WHAT", "when this client dies: cancel (default) or keep",
        CANCELABLE_SETTER(set_choice(s.run.on_disconnect, v, kOnDisconnect)),
        CANCELABLE_SHOWER(toml_string(kOnDisconnect[static_cast<std::size_t>(s.run.on_disconnect)]))},
    Key{"run", "preserve_status", "--preserve-status", "", "exit as COMMAND did, also when it was cancelled",
        CANCELABLE_SETTER(put(s.run.preserve_status, as_boolean(v))),
        CANCELABLE_SHOWER(show_boolean(s.run.preserve_status))},
    Key{"run", "cancel_on", "--cancel-on", "SOURCE",
        "cancel it when SOURCE holds, as idle:60s or all(...); can be repeated, none: forget the defaults",
        CANCELABLE_SETTER(add_source(s, v)), CANCELABLE_SHOWER(show_texts(s.run.cancel_on))},
    Key{"run", "on_start", "--on-start", "CMD", "a shell command to run when it has started",
        CANCELABLE_SETTER(put(s.run.hooks.on_start, as_text(v))),
        CANCELABLE_SHOWER(toml_string(s.run.hooks.on_start))},
    Key{"run", "on_cancel", "--on-cancel", "CMD", "one to run when it is being cancelled",
        CANCELABLE_SETTER(put(s.run.hooks.on_cancel, as_text(v))),
        CANCELABLE_SHOWER(toml_string(s.run.hooks.on_cancel))},
    Key{"run", "on_end", "--on-end", "CMD",
        "one to run when it has ended, with its facts in CANCELABLE_HOOK_...",
        CANCELABLE_SETTER(put(s.run.hooks.on_end, as_text(v))),
        CANCELABLE_SHOWER(toml_string(s.run.hooks.on_end))},
    Key{"run", "hook_timeout", "--hook-timeout", "DURATION", "for each of these commands (default 30s)",
        CANCELABLE_SETTER(put(s.run.hooks.time_limit, as_time_limit(v))),
        CANCELABLE_SHOWER(show_duration(s.run.hooks.time_limit))},
    Key{"batch", "jobs", "-j,--jobs", "N|N%",
        "how many run at a time, or a share of the processors (default 100%)",
        CANCELABLE_SETTER(put(s.batch.jobs, parse_jobs(text_of(v)))),
        CANCELABLE_SHOWER(toml_string(to_text(s.batch.jobs)))},
    Key{"batch", "keep_order", "-k,--keep-order", "", "their output comes in the order of the input",
        CANCELABLE_SETTER(put(s.batch.keep_order, as_boolean(v))),
        CANCELABLE_SHOWER(show_boolean(s.batch.keep_order))},
    Key{"batch", "halt", "--halt", "WHEN",
        "never (default), or soon or now, with fail=N, success=N or done=N, or N%: now,fail=1",
        CANCELABLE_SETTER(put(s.batch.halt, parse_halt(text_of(v)))),
        CANCELABLE_SHOWER(toml_string(to_text(s.batch.halt)))},
    Key{"supervisor", "idle_exit", "", "DURATION",
        "a supervisor started on demand leaves after so long idle; 0: never",
        CANCELABLE_SETTER(put(s.idle_exit, as_duration(v))), CANCELABLE_SHOWER(show_duration(s.idle_exit))},
    Key{"supervisor", "history_size", "", "N", "ended operations kept in memory",
        CANCELABLE_SETTER(put(s.history_size, as_count(v))),
        CANCELABLE_SHOWER(std::to_string(s.history_size))},
    Key{"history", "keep", "", "N", "ended operations kept on disk, with their logs; 0: any number",
        CANCELABLE_SETTER(put(s.history_keep, as_count(v))),
        CANCELABLE_SHOWER(std::to_string(s.history_keep))},
    Key{"history", "keep_for", "", "DURATION", "how long they are kept; 0: for ever",
        CANCELABLE_SETTER(put(s.history_keep_for, as_duration(v))),
        CANCELABLE_SHOWER(show_duration(s.history_keep_for))},
    Key{"output", "color", "--color", "WHEN", "auto, always or never",
        CANCELABLE_SETTER(set_choice(s.color, v, kColor)),
        CANCELABLE_SHOWER(toml_string(to_string(s.color)))},
};

#undef CANCELABLE_SETTER
#undef CANCELABLE_SHOWER

constexpr std::string_view kPrefix = "CANCELABLE_";

constexpr char to_upper(char c) noexcept {
    return 'a' <= c && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// Takes a name off the front, where it stands there in capitals.
bool take_off(std::string_view& text, std::string_view name) noexcept {
    const std::string_view front = text.substr(0, name.size());
    if (!std::ranges::equal(front, name, {}, {}, to_upper)) return false;
    text.remove_prefix(name.size());
    return true;
}

// Whether this is RUN_TIMEOUT=… for that key.
bool sets(std::string_view text, const Key& key) noexcept {
    return take_off(text, key.section) && take_off(text, "_") && take_off(text, key.name) &&
           text.starts_with('=');
}

}  // namespace

std::span<const Key> all_keys() noexcept {
    return kKeys;
}

const Key* find_key(std::string_view section, std::string_view name) noexcept {
    const auto found = std::ranges::find_if(
        kKeys, [&](const Key& key) { return key.section == section && key.name == name; });
    return found == kKeys.end() ? nullptr : &*found;
}

std::string environment_variable(const Key& key) {
    std::string name = fmt::format("{}{}_{}", kPrefix, key.section, key.name);
    std::ranges::transform(name, name.begin(), to_upper);
    return name;
}

Result<> apply_environment(Settings& settings) {
    // Once through all of it rather than for each key: few environments hold any.
    std::vector<std::string_view> ours;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
        if (std::strncmp(*entry, kPrefix.data(), kPrefix.size()) == 0)
            ours.emplace_back(*entry + kPrefix.size());
    for (const Key& key : kKeys) {
        const auto found = std::ranges::find_if(ours, [&](std::string_view text) { return sets(text, key); });
        if (found == ours.end()) continue;
        const std::string value(found->substr(found->find('=') + 1));
        if (const auto set = key.set(settings, value); !set)
            return failure(ErrorCode::usage,
                           fmt::format("{}: {}", environment_variable(key), set.error().sentence()));
    }
    return {};
}

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\r':
                out += "\\r";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                    out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
                else
                    out += c;
        }
    }
    return out + '"';
}

}  // namespace cancelable::cli
