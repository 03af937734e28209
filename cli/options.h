#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/process/error.h"

namespace cancelable::cli {

// The options of one verb: declared, then parsed once. CLI11 does the work, behind this header so that one
// file pays for compiling it.
//
// Names are written as "-t,--timeout". Targets must outlive parse(), and are left alone where nothing was
// said.
class Options {
public:
    // `name` as in the usage line: "list", "supervisor stop".
    Options(const std::string& name, const std::string& summary);
    ~Options();
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    // A line of the help's examples: what to type, and what it does.
    void example(const std::string& line, const std::string& meaning);

    // Heading of the help for the options declared from here on; empty hides them.
    void group(const std::string& title);

    void flag(const std::string& names, const std::string& help, bool& target);
    void flag(const std::string& names, const std::string& help, std::function<void()> said);

    // `take` is called for each time that the option is given; its error is shown with the option's name.
    using Take = std::function<Result<>(const std::string&)>;
    void value(const std::string& names, const std::string& placeholder, const std::string& help, Take take);

    void text(const std::string& names, const std::string& placeholder, const std::string& help,
              std::string& target);
    void duration(const std::string& names, const std::string& help,
                  std::optional<std::chrono::milliseconds>& target);
    void signal(const std::string& names, const std::string& help, std::optional<int>& target);
    void count(const std::string& names, const std::string& help, std::optional<std::size_t>& target);

    // The words that are no options. Without this they are usage errors.
    void words(const std::string& name, const std::string& help, std::vector<std::string>& target);

    // Options end at the first word that is none: it and everything behind it, or behind `--`, is a command.
    void command(std::vector<std::string>& target);

    // Nothing: go on. Otherwise all is said and done, and this is the exit status: help, or a usage error.
    std::optional<int> parse(const std::vector<std::string>& args);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable::cli
