#include "cli/terminal/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <span>
#include <string_view>

#include "cli/render/progress.h"
#include "cli/terminal/screen.h"
#include "engine/process/fd.h"

namespace cancelable::cli {
namespace {

// With fewer there is no room for a line that nobody has asked for.
constexpr std::size_t kFewestRows = 4;

constexpr std::string_view kSave =
    "\x1b"
    "7";  // the cursor, its colours, and whether it is about to wrap
constexpr std::string_view kRestore =
    "\x1b"
    "8";
constexpr std::string_view kClearRow = "\x1b[0m\x1b[2K";

bool terminal_can_do_it() {
    const char* kind = std::getenv("TERM");
    return kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

void write_at_once(int fd, std::string_view text) {
    (void)write_all(fd, std::as_bytes(std::span(text)));
}

}  // namespace

// A step down and up again: where the cursor is in the last row, this scrolls it out of there with all that
// is above. The column stays. Setting the margins moves the cursor, hence the saving around it.
std::string reserve_bottom_row(std::size_t rows) {
    return fmt::format(
        "\x1b"
        "D\x1b[A{}\x1b[1;{}r{}",
        kSave, rows - 1, kRestore);
}

std::string draw_bottom_row(std::size_t rows, const std::string& text) {
    return fmt::format("{}\x1b[{};1H{}{}{}", kSave, rows, kClearRow, text, kRestore);
}

std::string give_bottom_row_back(std::size_t rows) {
    return fmt::format("{}\x1b[r\x1b[{};1H{}{}", kSave, rows, kClearRow, kRestore);
}

ProgressLine::ProgressLine(int fd, std::string name, bool wanted)
    : fd_(fd), name_(std::move(name)), possible_(wanted && is_terminal(fd) && terminal_can_do_it()) {}

bool ProgressLine::has_the_terminal() const noexcept {
    return ::tcgetpgrp(fd_) == ::getpgrp();
}

void ProgressLine::show(Progress progress) {
    show([name = name_, progress = std::move(progress)](std::size_t columns) {
        return progress_line(name, progress, columns);
    });
}

void ProgressLine::show(Text text) {
    latest_ = std::move(text);
    draw();
}

void ProgressLine::draw() {
    if (!possible_ || !latest_ || !has_the_terminal()) return;
    const std::size_t rows = screen_height(fd_).value_or(0);
    const std::size_t columns = screen_width(fd_).value_or(0);
    if (rows < kFewestRows || columns < 2) return;
    std::string steps;
    if (reserved_rows_ != rows) {
        if (reserved_rows_ != 0) steps += give_bottom_row_back(std::min(reserved_rows_, rows));
        steps += reserve_bottom_row(rows);
        reserved_rows_ = rows;
    }
    // The last column stays free: a full row makes some terminals go on to the next.
    steps += draw_bottom_row(rows, latest_(columns - 1));
    write_at_once(fd_, steps);
}

void ProgressLine::resized() {
    if (reserved_rows_ != 0) draw();
}

void ProgressLine::hide() {
    if (reserved_rows_ == 0) return;
    // Where another job has the terminal now, the row is its to use: nothing more is scribbled on it.
    if (has_the_terminal()) write_at_once(fd_, give_bottom_row_back(reserved_rows_));
    reserved_rows_ = 0;
}

void ProgressLine::show_again() {
    draw();
}

}  // namespace cancelable::cli
