#include "cli/report.h"

#include <unistd.h>

#include <csignal>
#include <span>
#include <string>

#include "cli/render/text.h"
#include "engine/process/fd.h"

namespace cancelable::cli {
namespace {

void write_to(int fd, std::string_view text) {
    // One write for one line: lines of several programs on one terminal do not mix.
    (void)write_all(fd, std::as_bytes(std::span(text)));
}

}  // namespace

int exit_status_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage:
            return kExitUsage;
        case ErrorCode::not_found:
        case ErrorCode::refused:
            return kExitNothing;
        case ErrorCode::system:
        case ErrorCode::unreachable:
        case ErrorCode::protocol:
        case ErrorCode::limit:
        case ErrorCode::damaged:
        case ErrorCode::stopping:
            return kExitOwnFailure;
    }
    return kExitOwnFailure;
}

std::string error_line(std::string_view sentence) {
    return "cancelable: " + printable(sentence) + "\n";
}

void report_error(std::string_view sentence) {
    write_to(STDERR_FILENO, error_line(sentence));
}

int report(const Error& error) {
    report_error(error.sentence());
    return exit_status_of(error.code);
}

void report_notice(const Globals& globals, std::string_view sentence) {
    if (!globals.quiet) report_error(sentence);
}

int print(std::string_view text) {
    const auto written = write_all(STDOUT_FILENO, std::as_bytes(std::span(text)));
    if (written) return kExitOk;
    // What a shell shows for `cancelable list | head -1`.
    if (written.error().os_errno == EPIPE) return 128 + SIGPIPE;
    report_error("cannot write to the standard output: " + errno_text(written.error().os_errno));
    return kExitOwnFailure;
}

}  // namespace cancelable::cli
