#include "engine/quantity.h"

#include <doctest/doctest.h>

#include <string>

using namespace cancelable;
using namespace std::chrono_literals;

TEST_CASE("durations are read in every unit, and a bare number is seconds") {
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("1.5m") == 90s);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("1d") == 24h);
    CHECK(parse_duration("7") == 7s);
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration(".5") == 500ms);
    CHECK(parse_duration("2.") == 2s);
    CHECK(parse_duration("1.1s") == 1100ms);
    CHECK(parse_duration("0.07h") == 252s);
}

TEST_CASE("a duration below a millisecond is not taken for none") {
    CHECK(parse_duration("0.0001") == 1ms);
}

TEST_CASE("what is no duration is refused with a sentence that shows how one looks") {
    for (const char* text : {"", "-1", "-1s", "nan", "inf", "1e3", "0x10", "s", "1 s", "1.2.3", "10x", "10S",
                             "1h30m", ".", "+1", "1\n"}) {
        CAPTURE(text);
        const auto result = parse_duration(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::usage);
        CHECK(result.error().sentence().find("is no duration") != std::string::npos);
        CHECK(result.error().sentence().find('\n') == std::string::npos);
    }
}

TEST_CASE("a duration that would overflow is refused") {
    for (const std::string& text :
         {std::string("36501d"), std::string("99999999999999999999"), std::string(400, '9')}) {
        CAPTURE(text);
        const auto result = parse_duration(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().sentence().find("is too long") != std::string::npos);
    }
    CHECK(parse_duration("36500d") == 24h * 36500);
}

TEST_CASE("durations are shown in at most two units") {
    CHECK(format_duration(0us) == "0ms");
    CHECK(format_duration(999us) == "0.9ms");
    CHECK(format_duration(9999us) == "9.9ms");
    CHECK(format_duration(10ms) == "10ms");
    CHECK(format_duration(250ms) == "250ms");
    CHECK(format_duration(5299ms) == "5.2s");
    CHECK(format_duration(42s) == "42s");
    CHECK(format_duration(59'999ms) == "59s");
    CHECK(format_duration(185s) == "3m05s");
    CHECK(format_duration(2h + 10min + 9s) == "2h10m");
    CHECK(format_duration(28h) == "1d04h");
}

TEST_CASE("sizes are powers of 1024 in every spelling") {
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("512M") == 512ull << 20);
    CHECK(parse_size("2GiB") == 2ull << 30);
    CHECK(parse_size("2gb") == 2ull << 30);
    CHECK(parse_size("1.5k") == 1536);
    CHECK(parse_size("10B") == 10);
    CHECK(parse_size("0") == 0);
}

TEST_CASE("what is no size is refused") {
    for (const char* text : {"", "-1", "nan", "M", "1X", "1 M", "1ib", "1bb", "0x10", "1e9", "1MM"}) {
        CAPTURE(text);
        const auto result = parse_size(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().sentence().find("is no size") != std::string::npos);
    }
    REQUIRE_FALSE(parse_size("9000000T"));
    CHECK(parse_size("9000000T").error().sentence().find("is too much") != std::string::npos);
}

TEST_CASE("sizes are shown with at most one digit after the point") {
    CHECK(format_size(0) == "0B");
    CHECK(format_size(1023) == "1023B");
    CHECK(format_size(1536) == "1.5KiB");
    CHECK(format_size((12ull << 20) + 5) == "12MiB");
    CHECK(format_size((1ull << 20) - 1) == "1023KiB");
    CHECK(format_size(~0ull) == "15EiB");
}
