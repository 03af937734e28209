#pragma once

#include <cstddef>
#include <optional>

namespace cancelable::cli {

bool is_terminal(int fd) noexcept;

// The width to cut lines to: COLUMNS where it is set to a number, else that of the terminal; nothing where
// `fd` is no terminal, since what reads a pipe has no width.
std::optional<std::size_t> screen_width(int fd) noexcept;

// Lines of the terminal, or nothing where `fd` is none.
std::optional<std::size_t> screen_height(int fd) noexcept;

// Whether the locale is one whose characters are UTF-8, by the names of LC_ALL, LC_CTYPE and LANG, of which
// the first that is set counts: a static program has no locales that it could ask.
bool locale_is_utf8() noexcept;

}  // namespace cancelable::cli
