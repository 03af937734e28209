#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>
#include <variant>

#include "cli/nearest.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "engine/process/signal_names.h"
#include "engine/quantity.h"

namespace cancelable::cli {
namespace {

constexpr std::string_view kNo = "--no-";
constexpr std::string_view kHelpNames = "-h,--help";

// Carries a complete sentence through CLI11.
struct Refusal : CLI::ValidationError {
    explicit Refusal(const std::string& sentence) : CLI::ValidationError("", sentence), told(sentence) {}
    std::string told;
};

// Of "-t,--timeout": "--timeout".
std::string_view longest_name(std::string_view names) noexcept {
    const auto comma = names.find(',');
    return comma == std::string_view::npos ? names : names.substr(comma + 1);
}

// Whether a word may be one of these names, alone, with a value, or among other letters.
bool mentions(std::string_view word, std::string_view names) noexcept {
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

bool is_option(std::string_view word) noexcept {
    return word.starts_with('-') && word != "-";
}

// What was declared, as plain as can be: most of it is not mentioned.
struct Declared {
    std::string_view names;
    bool is_negation;  // of the flag of these names
    std::string_view placeholder;
    std::string_view help;
    std::string_view group;
    std::variant<Options::Said, Options::Take> action;

    std::string long_name() const {
        std::string name(longest_name(names));
        if (is_negation) name.replace(0, 2, kNo);
        return name;
    }

    bool is_mentioned_in(std::string_view word) const noexcept {
        if (!is_negation) return mentions(word, names);
        return word.starts_with(kNo) &&
               mentions(word.substr(kNo.size()), longest_name(names).substr(std::string_view("--").size()));
    }

    void add_to(CLI::App& app) const {
        const std::string names_here = is_negation ? long_name() : std::string(names);
        if (const auto* said = std::get_if<Options::Said>(&action)) {
            app.add_flag_callback(names_here, *said, std::string(help))->group(std::string(group));
            return;
        }
        const auto take_all = [this](const CLI::results_t& values) {
            for (const std::string& text : values)
                if (const auto taken = std::get<Options::Take>(action)(text); !taken)
                    throw Refusal(fmt::format("{}: {}", long_name(), taken.error().sentence()));
            return true;
        };
        app.add_option(names_here, take_all, std::string(help))
            ->type_name(std::string(placeholder))
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
            ->allow_extra_args(false)
            ->group(std::string(group));
    }
};

}  // namespace

struct Options::Impl {
    std::string_view name;
    std::string_view summary;
    std::vector<std::pair<std::string_view, std::string_view>> examples;
    std::string_view group = "Options";
    std::vector<Declared> declared;
    std::vector<std::string>* command = nullptr;
    std::vector<std::string>* words = nullptr;
    std::string_view words_name;
    std::string_view words_help;

    std::vector<std::string_view> options_among(const std::vector<std::string>& args) const;
    void set_up(CLI::App& app, const std::vector<std::string_view>& said) const;
    std::string help(const CLI::App& app) const;
    std::optional<int> take_rest(std::vector<std::string> rest) const;
    std::optional<int> take_command(std::vector<std::string> rest) const;
    std::optional<int> take_words(const std::vector<std::string>& rest) const;

    int usage_error(const std::string& sentence) const {
        report_error(fmt::format("{} (see cancelable {} --help)", sentence, name));
        return kExitUsage;
    }

    int unknown(const std::string& word) const {
        if (!is_option(word)) return usage_error(fmt::format("unexpected word {}", in_quotes(word)));
        std::vector<std::string> names{"--help"};
        for (const Declared& option : declared)
            names.push_back(option.long_name());
        const std::string typed = word.substr(0, word.find('='));
        const std::vector<std::string_view> known(names.begin(), names.end());
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

Options::Options(std::string_view name, std::string_view summary) : impl_(std::make_unique<Impl>()) {
    impl_->name = name;
    impl_->summary = summary;
    impl_->declared.reserve(40);  // `run` has the most
}

Options::~Options() = default;

void Options::example(std::string_view line, std::string_view meaning) {
    impl_->examples.emplace_back(line, meaning);
}

void Options::group(std::string_view title) {
    impl_->group = title;
}

void Options::flag(std::string_view names, std::string_view help, Said said) {
    impl_->declared.push_back({names, false, {}, help, impl_->group, std::move(said)});
}

void Options::flag(std::string_view names, std::string_view help, bool& target) {
    flag(names, help, [&target] { target = true; });
}

void Options::negation(std::string_view names, std::string_view help, Said said) {
    impl_->declared.push_back({names, true, {}, help, impl_->group, std::move(said)});
}

void Options::value(std::string_view names, std::string_view placeholder, std::string_view help, Take take) {
    impl_->declared.push_back({names, false, placeholder, help, impl_->group, std::move(take)});
}

void Options::text(std::string_view names, std::string_view placeholder, std::string_view help,
                   std::string& target) {
    value(names, placeholder, help, [&target](const std::string& given) -> Result<> {
        target = given;
        return {};
    });
}

void Options::duration(std::string_view names, std::string_view help,
                       std::optional<std::chrono::milliseconds>& target) {
    value(names, "DURATION", help, [&target](const std::string& given) -> Result<> {
        const auto parsed = parse_duration(given);
        if (!parsed) return std::unexpected(parsed.error());
        target = *parsed;
        return {};
    });
}

void Options::signal(std::string_view names, std::string_view help, std::optional<int>& target) {
    value(names, "SIGNAL", help, [&target](const std::string& given) -> Result<> {
        target = parse_signal(given);
        if (!target)
            return failure(ErrorCode::usage, in_quotes(given) + " is no signal: write TERM, SIGTERM or 15");
        return {};
    });
}

void Options::count(std::string_view names, std::string_view help, std::optional<std::size_t>& target) {
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

void Options::words(std::string_view name, std::string_view help, std::vector<std::string>& target) {
    // Not as CLI11's positionals, which take "[ab]" for a list of one element.
    impl_->words = &target;
    impl_->words_name = name;
    impl_->words_help = help;
}

void Options::command(std::vector<std::string>& target) {
    impl_->command = &target;
}

// Those before "--" and before the command, among them any that look like options and are the values of some.
std::vector<std::string_view> Options::Impl::options_among(const std::vector<std::string>& args) const {
    std::vector<std::string_view> said;
    for (std::size_t i = 0; i < args.size() && args[i] != "--"; ++i) {
        if (is_option(args[i])) {
            said.push_back(args[i]);
            continue;
        }
        // The command, unless it is the value of an option.
        if (command != nullptr && (i == 0 || !is_option(args[i - 1]))) break;
    }
    return said;
}

// CLI11 gets only the options that may be meant, since to make all of them takes longer than the rest of a
// run: all, where a word is none of them, for the help, and for the sentence on what is wrong.
void Options::Impl::set_up(CLI::App& app, const std::vector<std::string_view>& said) const {
    app.description(std::string(summary));
    app.name("cancelable " + std::string(name));
    app.set_help_flag(std::string(kHelpNames), "this text");
    app.allow_extras();
    app.get_formatter()->column_width(34);
    if (command != nullptr) app.prefix_command();

    const bool all = std::ranges::any_of(said, [&](std::string_view word) {
        const auto is_it = [&](const Declared& option) { return option.is_mentioned_in(word); };
        return mentions(word, kHelpNames) || std::ranges::none_of(declared, is_it);
    });
    for (const Declared& option : declared) {
        const auto mentions_it = [&](std::string_view word) { return option.is_mentioned_in(word); };
        if (all || std::ranges::any_of(said, mentions_it)) option.add_to(app);
    }
}

std::string Options::Impl::help(const CLI::App& app) const {
    std::string text = app.help();
    std::string tail;
    if (command != nullptr) tail = " [--] COMMAND [ARG...]";
    if (words != nullptr) tail = fmt::format(" {}", words_name);
    std::string described;
    if (words != nullptr) described = fmt::format("\nWords:\n  {:<32}{}\n", words_name, words_help);
    const std::string badge = "[OPTIONS]\n";
    if (const auto at = text.find(badge); at != std::string::npos)
        text.insert(at + badge.size() - 1, tail).insert(at + badge.size() + tail.size(), described);
    if (!examples.empty()) text += "\nExamples:\n";
    for (const auto& [line, meaning] : examples)
        text += fmt::format("  {}\n      {}\n", line, meaning);
    // CLI11 parts some groups by two empty lines.
    for (auto at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n"))
        text.erase(at, 1);
    while (text.ends_with("\n\n"))
        text.pop_back();
    return text;
}

std::optional<int> Options::parse(const std::vector<std::string>& args) {
    const Impl& self = *impl_;
    const auto said = self.options_among(args);
    // Without any there is nothing for CLI11 to do.
    if (said.empty()) return self.take_rest(args);
    CLI::App app;
    try {
        self.set_up(app, said);
        // CLI11 takes the words from the back.
        app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
    } catch (const CLI::CallForHelp&) {
        return print(self.help(app));
    } catch (const Refusal& refusal) {
        return self.usage_error(refusal.told);
    } catch (const CLI::ArgumentMismatch& error) {
        return self.usage_error(Impl::sentence_of(error));
    } catch (const CLI::ParseError& error) {
        return self.usage_error(error.what());
    }
    return self.take_rest(app.remaining());
}

std::optional<int> Options::Impl::take_rest(std::vector<std::string> rest) const {
    return command != nullptr ? take_command(std::move(rest)) : take_words(rest);
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
