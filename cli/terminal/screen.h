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

}  // namespace cancelable::cli
