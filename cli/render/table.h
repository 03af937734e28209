#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/render/colors.h"

namespace cancelable::cli {

struct Cell {
    std::string text;  // printable
    Style style = Style::plain;
};

struct Column {
    std::string title;
    bool align_right = false;
    std::size_t at_least =
        0;  // may be cut down to this many columns where the terminal is narrow; 0: is never cut
};

// Aligned columns with a heading, two blanks apart, cut with an ellipsis to the width of the terminal. Where
// no column has a title there is no heading.
class Table {
public:
    explicit Table(std::vector<Column> columns);

    // As many cells as there are columns.
    void add_row(std::vector<Cell> cells);

    // One line for the heading and one for each row, each with a newline and no blanks at its end. Without a
    // width nothing is cut.
    std::string render(std::optional<std::size_t> width, const Palette& palette) const;

private:
    std::vector<std::size_t> column_widths(std::optional<std::size_t> width) const;

    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

}  // namespace cancelable::cli
