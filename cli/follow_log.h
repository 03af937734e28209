#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/lasting_connection.h"
#include "engine/process/fd.h"
#include "engine/shim/spec.h"

namespace cancelable::cli {

// Prints a file that another process is writing.
class LogPrinter {
public:
    static Result<LogPrinter> open(const std::string& path);

    // Goes to where the last so many lines begin. A last line without a newline counts.
    Result<> skip_to_last_lines(std::size_t lines);

    // Prints what is there beyond what was printed. A file that has become shorter is printed from its
    // beginning again. An exit status where the output failed.
    Result<std::optional<int>> print_new();

    // Prints as it grows, whether there is a supervisor or not, until one says that the operation is gone;
    // and then what is left. 0, or an exit status.
    Result<int> follow(LastingConnection& connection, OperationId id);

private:
    LogPrinter(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

    UniqueFd file_;
    std::string path_;
    off_t at_ = 0;
};

}  // namespace cancelable::cli
