#include "cli/terminal/progress_line.h"

#include <doctest/doctest.h>

#include "cli/render/progress.h"
#include "cli/render/text.h"
#include "screen.h"

using namespace cancelable;
using namespace cancelable::cli;
using cancelable::testing::Screen;

TEST_CASE("output that scrolls stays above the line of progress") {
    Screen screen(5, 20);
    screen.write("one\ntwo\nthree\nfour\nfive");
    screen.write(reserve_bottom_row(5) + draw_bottom_row(5, "job 40%"));
    CHECK(screen.row(5) == "job 40%");
    CHECK(screen.row(4) == "five");
    // In the middle of its line, which goes on where it was.
    CHECK(screen.cursor_row() == 4);
    CHECK(screen.cursor_column() == 5);
    screen.write("!\nsix\nseven");
    CHECK(screen.row(2) == "five!");
    CHECK(screen.row(3) == "six");
    CHECK(screen.row(4) == "seven");
    CHECK(screen.row(5) == "job 40%");
}

TEST_CASE("a line of progress is drawn anew without a trace of what was there") {
    Screen screen(5, 30);
    screen.write(reserve_bottom_row(5) + draw_bottom_row(5, "a long text about epochs"));
    screen.write("out");
    screen.write(draw_bottom_row(5, "short"));
    CHECK(screen.row(5) == "short");
    screen.write("put\n");
    CHECK(screen.row(1) == "output");
}

TEST_CASE("the row is given back: empty, and scrolled through again") {
    Screen screen(4, 20);
    screen.write("a\nb\n");
    screen.write(reserve_bottom_row(4) + draw_bottom_row(4, "job 40%"));
    screen.write("c\n");
    screen.write(give_bottom_row_back(4));
    CHECK(screen.row(4).empty());
    screen.write("d\ne\n");
    CHECK(screen.row(1) == "c");
    CHECK(screen.row(3) == "e");
    CHECK(screen.cursor_row() == 4);
}

TEST_CASE("a screen with room to spare is not scrolled for the line of progress") {
    Screen screen(6, 20);
    screen.write("prompt: ");
    screen.write(reserve_bottom_row(6));
    CHECK(screen.row(1) == "prompt:");
    CHECK(screen.cursor_row() == 1);
    CHECK(screen.cursor_column() == 9);
}

TEST_CASE("all of it is shown only once nothing is left to do") {
    CHECK(progress_text({0.4, "epoch 4/10", {}}) == "40% epoch 4/10");
    CHECK(progress_text({0.29, "", {}}) == "29%");
    CHECK(progress_text({0.9999, "", {}}) == "99%");
    CHECK(progress_text({1, "", {}}) == "100%");
    CHECK(progress_text({0.5, "a\nb\x1b[2J", {}}).find_first_of("\n\x1b") == std::string::npos);
}

TEST_CASE("a line of progress fits the terminal, however narrow") {
    const Progress progress{0.5, std::string(200, 'x'), {}};
    for (const std::size_t columns : {1UL, 2UL, 10UL, 59UL, 60UL, 79UL, 300UL})
        CHECK(display_width(progress_line("a-name", progress, columns)) <= columns);
    CHECK(progress_line("job", {0.5, "half", {}}, 79) == "job [##########..........] 50% half");
    CHECK(progress_line("job", {0.5, "half", {}}, 40) == "job 50% half");
}
