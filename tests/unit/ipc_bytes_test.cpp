#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "ipc/byte_text.h"
#include "ipc/timestamp.h"
#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using nlohmann::json;

TEST_CASE("UTF-8 is told from what only looks like it") {
    for (const char* good :
         {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
        CHECK(is_utf8(good));
    for (const char* bad :
         {"\x80", "\xff", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "a\xe2\x82z"})
        CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("what is shown has U+FFFD for what is not UTF-8, and nothing else changes") {
    CHECK(to_utf8("plain \xc3\xa9") == "plain \xc3\xa9");
    CHECK(to_utf8("a\xffz") == "a\xef\xbf\xbdz");
    CHECK(to_utf8("\xe2\x82") == "\xef\xbf\xbd");
    CHECK(to_utf8("\xe2\x82z") == "\xef\xbf\xbdz");
    CHECK(to_utf8("\xc0\xaf") == "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("any bytes survive the way into JSON and back, except a zero") {
    std::uint32_t seed = 1;
    for (int length = 0; length < 200; ++length) {
        std::string bytes;
        for (int i = 0; i < length; ++i) {
            seed = seed * 1664525 + 1013904223;
            const char c = static_cast<char>(seed >> 24);
            bytes += c == 0 ? 'x' : c;
        }
        const Wire wire(bytes_to_json(bytes));
        CHECK(bytes_from_json(wire).value() == bytes);
        CHECK(decode_base64(encode_base64(bytes)).value() == bytes);
    }
    const Wire zero(json(std::string("a\0b", 3)));
    CHECK(bytes_from_json(zero).error().doing == "holds a zero byte");
    const Wire hidden(json{{"base64", encode_base64(std::string(1, '\0'))}});
    CHECK_FALSE(bytes_from_json(hidden));
}

TEST_CASE("base64 is as the standard has it") {
    CHECK(encode_base64("") == "");
    CHECK(encode_base64("f") == "Zg==");
    CHECK(encode_base64("fo") == "Zm8=");
    CHECK(encode_base64("foo") == "Zm9v");
    CHECK(encode_base64("\xfb\xff") == "+/8=");
    for (const char* bad : {"Z", "Zg", "Zg=", "====", "Z===", "Zg==Zg==", "Zm9v\n", "Zm-v", "Z g="})
        CHECK_FALSE(decode_base64(bad));
}

TEST_CASE("bytes on the wire are a string or a base64 object and nothing else") {
    for (const json& bad : {json(3), json(nullptr), json::array(), json::object(), json{{"base64", 3}},
                            json{{"base64", "!!!!"}}, json{{"base64", "Zg=="}, {"x", 1}}})
        CHECK_FALSE(bytes_from_json(Wire(bad)));
}

TEST_CASE("timestamps are RFC 3339 in UTC with milliseconds, there and back") {
    const WallTime time = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + std::chrono::hours(9) +
                          std::chrono::minutes(5) + std::chrono::microseconds(250'999);
    CHECK(format_timestamp(time) == "2026-03-01T09:05:00.250Z");
    CHECK(parse_timestamp("2026-03-01T09:05:00.250Z") == time - std::chrono::microseconds(999));
    CHECK(format_timestamp(WallTime{}) == "1970-01-01T00:00:00.000Z");
    CHECK(format_timestamp(WallTime{} - std::chrono::microseconds(1)) == "1969-12-31T23:59:59.999Z");
    for (const char* bad :
         {"", "2026-03-01T09:05:00Z", "2026-02-30T09:05:00.250Z", "2026-03-01T24:05:00.250Z",
          "2026-03-01 09:05:00.250Z", "2026-03-01T09:05:00.250+"})
        CHECK_FALSE(parse_timestamp(bad));
}
