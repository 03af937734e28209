#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cancelable::cli {

// Fit for a terminal and for one line: control characters, DEL and bytes that are no UTF-8 are shown as \n,
// \t, \e or
// \xHH, and so are the invisible characters that turn the direction of text. A backslash stays a backslash.
std::string printable(std::string_view bytes);

// `printable`, in double quotes.
std::string in_quotes(std::string_view bytes);

// A command as it could be typed: words that a shell would take apart are in single quotes. Printable.
std::string shell_word(std::string_view word);

// How many columns a terminal needs for it. Takes printable text.
std::size_t display_width(std::string_view text) noexcept;

// At most `columns` wide; what had to be cut shows as an ellipsis at the end. Takes printable text.
std::string cut_to_width(std::string_view text, std::size_t columns);

}  // namespace cancelable::cli
