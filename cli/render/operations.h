#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/render/colors.h"
#include "engine/operation.h"

namespace cancelable::cli {

// Where and when something is shown.
struct View {
    std::optional<std::size_t> width;  // nothing: uncut
    Palette palette;
    WallTime now;
    bool utf8 = true;  // else only ASCII draws lines
};

// For the standard output of this process, now.
View current_view(ColorChoice choice);

Style style_of(Status status) noexcept;

// How long it took, or has been taking; since it was accepted where it has not started.
std::chrono::microseconds elapsed(const Operation& operation, WallTime now) noexcept;

// A command as it could be typed.
std::string command_line(const std::vector<std::string>& command);

// `exit 0`, `exit 3`, `SIGKILL`, or empty while it runs.
std::string exit_text(const Operation& operation);

// One line for each. As a tree, children come below their parents; one whose parent is not among them is a
// root.
std::string operations_table(const std::vector<Operation>& operations, const View& view, bool as_tree);

// Everything about one.
std::string operation_details(const Operation& operation, const View& view);

// What a cancelation came to, one line for each: id, name, signals, processes, time.
std::string cancelled_lines(const std::vector<Operation>& operations, const View& view);

}  // namespace cancelable::cli
