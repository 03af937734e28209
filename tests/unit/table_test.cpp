#include "cli/render/table.h"

#include <doctest/doctest.h>

#include "cli/render/text.h"

using namespace cancelable::cli;

namespace {

const Palette kPlain(false);

Table sample() {
    Table table({{"ID", true}, {"NAME", false, 4}, {"COMMAND", false, 7}});
    table.add_row({{"7"}, {"build"}, {"make -j8 all"}});
    table.add_row({{"12"}, {"x"}, {"sleep 5"}});
    return table;
}

}  // namespace

TEST_CASE("columns are aligned, numbers to the right, and no line ends in blanks") {
    CHECK(sample().render(std::nullopt, kPlain) ==
          "ID  NAME   COMMAND\n"
          " 7  build  make -j8 all\n"
          "12  x      sleep 5\n");
}

TEST_CASE("a table is cut to the width of the terminal with an ellipsis") {
    CHECK(sample().render(20, kPlain) ==
          "ID  NAME   COMMAND\n"
          " 7  build  make -j8…\n"
          "12  x      sleep 5\n");
}

TEST_CASE("a column keeps its smallest width on a terminal that is too narrow") {
    CHECK(sample().render(5, kPlain) ==
          "ID  NAME  COMMAND\n"
          " 7  bui…  make -…\n"
          "12  x     sleep 5\n");
}

TEST_CASE("columns without any title have no heading") {
    Table table({{""}, {""}});
    table.add_row({{"a"}, {"b"}});
    CHECK(table.render(std::nullopt, kPlain) == "a  b\n");
}

TEST_CASE("colours do not count as width") {
    Table table({{""}, {""}});
    table.add_row({{"ab", Style::red}, {"c"}});
    CHECK(table.render(80, Palette(true)) == "\x1b[31mab\x1b[0m  c\n");
}

TEST_CASE("control characters, broken UTF-8 and marks that turn text around are shown and not obeyed") {
    CHECK(printable("a\nb\tc\x1b[31m") == "a\\nb\\tc\\e[31m");
    CHECK(printable(std::string_view("\0\x07\x7f", 3)) == "\\x00\\x07\\x7f");
    CHECK(printable("\xff\xc0\xaf") == "\\xff\\xc0\\xaf");
    CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
    CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
    CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");
    CHECK(printable("grüße 日本 🎉") == "grüße 日本 🎉");
    CHECK(printable("cut off \xe6\x97") == "cut off \\xe6\\x97");
}

TEST_CASE("width is counted in columns, not in bytes") {
    CHECK(display_width("abc") == 3);
    CHECK(display_width("grüße") == 5);
    CHECK(display_width("日本") == 4);
    CHECK(display_width("e\u0301") == 1);
    CHECK(display_width("🎉") == 2);
}

TEST_CASE("a wide character that would stick out is left off") {
    CHECK(cut_to_width("日本語", 6) == "日本語");
    CHECK(cut_to_width("日本語", 5) == "日本…");
    CHECK(cut_to_width("日本語", 4) == "日…");
    CHECK(cut_to_width("abc", 1) == "…");
    CHECK(cut_to_width("abc", 0).empty());
}

TEST_CASE("a command is shown as it could be typed") {
    CHECK(shell_word("a-b_c.d/e=f") == "a-b_c.d/e=f");
    CHECK(shell_word("sleep 100 & exit") == "'sleep 100 & exit'");
    CHECK(shell_word("it's") == "'it'\\''s'");
    CHECK(shell_word("") == "''");
    CHECK(shell_word("two\nlines") == "'two\\nlines'");
}
