#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cancelable::cli {

// The words of a command line that needs no shell: blanks part them, quotes and backslashes mean what they
// mean to sh. Nothing where only a shell could carry it out: it expands, redirects or combines something,
// assigns a variable, begins with a word of the shell's own (cd, exit, if, …), or a quote does not end.
std::optional<std::vector<std::string>> split_words(std::string_view line);

// The command to execute for a line: its words, or a shell with it.
std::vector<std::string> command_of_line(std::string_view line);

}  // namespace cancelable::cli
