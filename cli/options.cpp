#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "cli/nearest.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "engine/process/signal_names.h"
#include "engine/quantity.h"

namespace cancelable::cli {
namespace {

// Of "-t,--timeout": "--timeout".
std::string longest_name(const std::string& names) {
    const auto comma = names.find(',');
    return comma == std::string::npos ? names : names.substr(comma + 1);
}

// Whether a word may be one of these names ("-t,--timeout"), alone, with a value, or among other letters.
bool mentions(std::string_view word, std::string_view names) {
    const std::string_view typed = word.substr(0, word.find('='));
    while (!names.empty()) {
        const std::string_view name = names.substr(0, names.find(','));
        names.remove_prefix(std::min(names.size(), name.size() + 1));
        if (typed == name) return true;
        const bool is_letter = name.size() == 2 && !word.starts_with("--");
        if (is_letter && word.find(name[1]) != std::string_view::npos) return true;
    }
    return false;
}

// Carries a complete sentence through CLI11.
struct Refusal : CLI::ValidationError {
    explicit Refusal(const std::string& sentence) : CLI::ValidationError("", sentence), told(sentence) {}
    std::string told;
};

}  // namespace

struct Options::Impl {
    CLI::App app;
    std::string name;
    std::string examples;
    std::string group = "Options";
    std::vector<std::string> long_names{"--help"};
    // CLI11 gets only those that may be meant: to make all of them takes longer than the rest of a run.
    struct Declared {
        std::string names;
        std::function<void(CLI::App&)> make;
    };
    std::vector<Declared> declared;
    std::vector<std::string>* command = nullptr;
    std::vector<std::string>* words = nullptr;
    std::string usage_tail;
    std::string words_help;

    void make_options(const std::vector<std::string>& args);
    std::string help() const;
    std::optional<int> take_command(std::vector<std::string> rest) const;
    std::optional<int> take_words(const std::vector<std::string>& rest) const;

    static bool is_option(const std::string& word) { return word.starts_with('-') && word != "-"; }

    int usage_error(const std::string& sentence) const {
        report_error(fmt::format("{} (see cancelable {} --help)", sentence, name));
        return kExitUsage;
    }

    int unknown(const std::string& word) const {
        if (!is_option(word)) return usage_error(fmt::format("unexpected word {}", in_quotes(word)));
        const std::string typed = word.substr(0, word.find('='));
        const std::vector<std::string_view> known(long_names.begin(), long_names.end());
        return usage_error(fmt::format("unknown option {}{}", in_quotes(typed), did_you_mean(typed, known)));
    }

    // CLI11's exceptions hold the option's name before a colon, and then words that are not ours.
    static std::string sentence_of(const CLI::ArgumentMismatch& error) {
        const std::string text = error.what();
        const std::string option = text.substr(0, text.find_first_of(": "));
        if (text.find("missing") != std::string::npos) return fmt::format("{} needs a value", option);
        return fmt::format("{} takes no value", option);
    }
};

Options::Options(const std::string& name, const std::string& summary) : impl_(std::make_unique<Impl>()) {
    impl_->name = name;
    impl_->app.description(summary);
    impl_->app.name("cancelable " + name);
    impl_->app.set_help_flag("-h,--help", "this text");
    impl_->app.allow_extras();
    impl_->app.get_formatter()->column_width(34);
}

Options::~Options() = default;

void Options::example(const std::string& line, const std::string& meaning) {
    impl_->examples += fmt::format("  {}\n      {}\n", line, meaning);
}

void Options::group(const std::string& title) {
    impl_->group = title;
}

void Options::flag(const std::string& names, const std::string& help, std::function<void()> said) {
    impl_->declared.push_back(
        {names, [names, help, said = std::move(said), group = impl_->group](CLI::App& app) {
             app.add_flag_callback(names, said, help)->group(group);
         }});
    impl_->long_names.push_back(longest_name(names));
}

void Options::flag(const std::string& names, const std::string& help, bool& target) {
    flag(names, help, [&target] { target = true; });
}

void Options::value(const std::string& names, const std::string& placeholder, const std::string& help,
                    Take take) {
    auto take_all = [names, take = std::move(take)](const CLI::results_t& values) {
        for (const std::string& text : values)
            if (const auto taken = take(text); !taken)
                throw Refusal(fmt::format("{}: {}", longest_name(names), taken.error().sentence()));
        return true;
    };
    impl_->declared.push_back({names, [names, placeholder, help, take_all = std::move(take_all),
                                       group = impl_->group](CLI::App& app) {
                                   app.add_option(names, take_all, help)
                                       ->type_name(placeholder)
                                       ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                                       ->allow_extra_args(false)
                                       ->group(group);
                               }});
    impl_->long_names.push_back(longest_name(names));
}

void Options::text(const std::string& names, const std::string& placeholder, const std::string& help,
                   std::string& target) {
    value(names, placeholder, help, [&target](const std::string& given) -> Result<> {
        target = given;
        return {};
    });
}

void Options::duration(const std::string& names, const std::string& help,
                       std::optional<std::chrono::milliseconds>& target) {
    value(names, "DURATION", help, [&target](const std::string& given) -> Result<> {
        const auto parsed = parse_duration(given);
        if (!parsed) return std::unexpected(parsed.error());
        target = *parsed;
        return {};
    });
}

void Options::signal(const std::string& names, const std::string& help, std::optional<int>& target) {
    value(names, "SIGNAL", help, [&target](const std::string& given) -> Result<> {
        target = parse_signal(given);
        if (!target)
            return failure(ErrorCode::usage, in_quotes(given) + " is no signal: write TERM, SIGTERM or 15");
        return {};
    });
}

void Options::count(const std::string& names, const std::string& help, std::optional<std::size_t>& target) {
    value(names, "N", help, [&target](const std::string& given) -> Result<> {
        std::size_t number = 0;
        const char* end = given.data() + given.size();
        const auto [stopped, error] = std::from_chars(given.data(), end, number);
        if (error != std::errc{} || stopped != end)
            return failure(ErrorCode::usage, in_quotes(given) + " is no number");
        target = number;
        return {};
    });
}

void Options::words(const std::string& name, const std::string& help, std::vector<std::string>& target) {
    // Not as CLI11's positionals, which take "[ab]" for a list of one element.
    impl_->words = &target;
    impl_->usage_tail = " " + name;
    impl_->words_help = fmt::format("\nWords:\n  {:<32}{}\n", name, help);
}

void Options::command(std::vector<std::string>& target) {
    impl_->command = &target;
    impl_->usage_tail = " [--] COMMAND [ARG...]";
    impl_->app.prefix_command();
}

// Those that some word mentions, be it one of the command's own; all, where a word is none of them: for the
// help, and for the sentence on what is wrong.
void Options::Impl::make_options(const std::vector<std::string>& args) {
    std::vector<bool> is_meant(declared.size(), false);
    bool all = false;
    for (std::size_t i = 0; i < args.size() && args[i] != "--" && !all; ++i) {
        if (!is_option(args[i])) {
            // The command, unless it is the value of an option.
            if (command != nullptr && (i == 0 || !is_option(args[i - 1]))) break;
            continue;
        }
        bool known = false;
        for (std::size_t k = 0; k < declared.size(); ++k)
            if (mentions(args[i], declared[k].names)) known = is_meant[k] = true;
        all = !known || mentions(args[i], "-h,--help");
    }
    for (std::size_t k = 0; k < declared.size(); ++k)
        if (all || is_meant[k]) declared[k].make(app);
}

std::string Options::Impl::help() const {
    std::string text = app.help();
    const std::string badge = "[OPTIONS]\n";
    if (const auto at = text.find(badge); at != std::string::npos)
        text.insert(at + badge.size() - 1, usage_tail)
            .insert(at + badge.size() + usage_tail.size(), words_help);
    // CLI11 parts some groups by two empty lines.
    for (auto at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n"))
        text.erase(at, 1);
    while (text.ends_with("\n\n"))
        text.pop_back();
    return text;
}

std::optional<int> Options::parse(const std::vector<std::string>& args) {
    Impl& self = *impl_;
    self.make_options(args);
    if (!self.examples.empty()) self.app.footer("Examples:\n" + self.examples);
    try {
        // CLI11 takes the words from the back.
        self.app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
    } catch (const CLI::CallForHelp&) {
        return print(self.help());
    } catch (const Refusal& refusal) {
        return self.usage_error(refusal.told);
    } catch (const CLI::ArgumentMismatch& error) {
        return self.usage_error(Impl::sentence_of(error));
    } catch (const CLI::ParseError& error) {
        return self.usage_error(error.what());
    }
    return self.command != nullptr ? self.take_command(self.app.remaining())
                                   : self.take_words(self.app.remaining());
}

std::optional<int> Options::Impl::take_command(std::vector<std::string> rest) const {
    if (!rest.empty() && rest.front() == "--")
        rest.erase(rest.begin());
    else if (!rest.empty() && is_option(rest.front()))
        return unknown(rest.front());
    *command = std::move(rest);
    return std::nullopt;
}

std::optional<int> Options::Impl::take_words(const std::vector<std::string>& rest) const {
    bool behind_dashes = false;
    for (const std::string& word : rest) {
        if (!behind_dashes && word == "--")
            behind_dashes = true;
        else if (words == nullptr || (!behind_dashes && is_option(word)))
            return unknown(word);
        else
            words->push_back(word);
    }
    return std::nullopt;
}

}  // namespace cancelable::cli
