#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"

namespace cancelable::cli {

// The options of one verb: declared, then parsed once. CLI11 does the work, behind this header so that one
// file pays for compiling it.
//
// Names are written as "-t,--timeout". Texts are kept as views: they and the targets must outlive parse(), as
// literals do. Targets are left alone where nothing was said.
class Options {
public:
    // `name` as in the usage line: "list", "supervisor stop".
    Options(std::string_view name, std::string_view summary);
    ~Options();
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    // A line of the help's examples: what to type, and what it does.
    void example(std::string_view line, std::string_view meaning);

    // Heading of the help for the options declared from here on; empty hides them.
    void group(std::string_view title);

    using Said = std::function<void()>;
    void flag(std::string_view names, std::string_view help, bool& target);
    void flag(std::string_view names, std::string_view help, Said said);

    // "--no-timeout", of the flag of these names.
    void negation(std::string_view names, std::string_view help, Said said);

    // `take` is called for each time that the option is given; its error is shown with the option's name.
    using Take = std::function<Result<>(const std::string&)>;
    void value(std::string_view names, std::string_view placeholder, std::string_view help, Take take);

    void text(std::string_view names, std::string_view placeholder, std::string_view help,
              std::string& target);
    void duration(std::string_view names, std::string_view help,
                  std::optional<std::chrono::milliseconds>& target);
    void signal(std::string_view names, std::string_view help, std::optional<int>& target);
    void count(std::string_view names, std::string_view help, std::optional<std::size_t>& target);

    // The words that are no options. Without this they are usage errors.
    void words(std::string_view name, std::string_view help, std::vector<std::string>& target);

    // Options end at the first word that is none: it and everything behind it, or behind `--`, is a command.
    void command(std::vector<std::string>& target);

    // Nothing: go on. Otherwise all is said and done, and this is the exit status: help, or a usage error.
    std::optional<int> parse(const std::vector<std::string>& args);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable::cli
