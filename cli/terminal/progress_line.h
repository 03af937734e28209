// A line at the bottom of a terminal that a command writes to at the same time, without our seeing it.
//
// While there is progress to show, the last row is taken out of the part of the screen that scrolls. What the
// command writes stays above it, wherever it was writing. Each step is one write, so it never falls into the
// middle of another's; the cursor and its colours are put back in that very write. A program that draws the
// whole screen itself takes the row for its own, and the line comes back with the next progress.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "engine/operation.h"

namespace cancelable::cli {

// What is written to the terminal for each step, for a screen of so many rows.
std::string reserve_bottom_row(std::size_t rows);
std::string draw_bottom_row(std::size_t rows, const std::string& text);
std::string give_bottom_row_back(std::size_t rows);

// Does nothing where `fd` is no terminal that can do it, or where another job has the terminal. Gives the row
// back when it is destroyed.
class ProgressLine {
public:
    // `wanted`: false for a line that never shows.
    ProgressLine(int fd, std::string name, bool wanted);
    ~ProgressLine() { hide(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    // Whether it ever shows anything.
    bool is_possible() const noexcept { return possible_; }

    void show(Progress progress);

    // The same with a text of the caller's, which is to be no wider than so many columns.
    using Text = std::function<std::string(std::size_t columns)>;
    void show(Text text);

    // The terminal has another size now.
    void resized();

    // Gives the row back, until show() or show_again().
    void hide();
    void show_again();

private:
    bool has_the_terminal() const noexcept;
    void draw();

    int fd_;
    std::string name_;
    bool possible_;
    Text latest_;
    std::size_t reserved_rows_ = 0;  // of the screen whose last one is ours; 0: none is
};

}  // namespace cancelable::cli
