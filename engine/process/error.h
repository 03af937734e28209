#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace cancelable {

// What kind of failure it was; stable, since the wire and the exit statuses are derived from it.
enum class ErrorCode : int {
    system,       // a system call failed: os_errno says how
    usage,        // the request makes no sense as it stands
    not_found,    // nothing of that id, name or path
    refused,      // understood, and not allowed in the present state
    unreachable,  // no supervisor answers
    protocol,     // the other side broke the protocol
    limit,        // a bound was passed
    damaged,      // stored data cannot be read
    stopping,     // not by this supervisor any more: the next one will
};

std::string_view to_string(ErrorCode code) noexcept;

// A failure as data: its kind, what was being done, and errno where there is one.
struct Error {
    ErrorCode code = ErrorCode::system;
    std::string doing;  // a clause that starts the sentence: cannot open "/x/config.toml"
    int os_errno = 0;

    // One sentence without a full stop: `doing`, and the reason of errno where there is one.
    std::string sentence() const;
};

template <class T = void>
using Result = std::expected<T, Error>;

// The failure of the system call that has just returned; reads errno first, so it may be written in one line.
inline std::unexpected<Error> system_error(std::string doing, int os_errno = errno) {
    return std::unexpected(Error{ErrorCode::system, std::move(doing), os_errno});
}

inline std::unexpected<Error> failure(ErrorCode code, std::string sentence) {
    return std::unexpected(Error{code, std::move(sentence), 0});
}

// The kernel's words for an errno, in lower case as they stand within a sentence.
std::string errno_text(int os_errno);

}  // namespace cancelable
