#pragma once

#include <string>
#include <string_view>

#include "cli/globals.h"
#include "engine/process/error.h"

namespace cancelable::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitNothing = 1;  // unknown id, empty match, refused
inline constexpr int kExitUsage = 2;
inline constexpr int kExitSurvivors = 3;
inline constexpr int kExitTimeout = 124;
inline constexpr int kExitOwnFailure = 125;

int exit_status_of(ErrorCode code) noexcept;

// On stderr, as `cancelable: <sentence>`, with control characters escaped.
void report_error(std::string_view sentence);

// What report_error() writes.
std::string error_line(std::string_view sentence);

// As above, and gives the exit status that goes with it.
int report(const Error& error);

// On stderr, unless --quiet.
void report_notice(const Globals& globals, std::string_view sentence);

// To stdout, whole. 0, or 125 with a sentence where that failed; a reader that has gone away is no failure to
// speak of.
[[nodiscard]] int print(std::string_view text);

}  // namespace cancelable::cli
