#include "ipc/json_value.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "ipc/json_writer.h"

using namespace cancelable::ipc;

namespace {

bool is_json(std::string_view text, std::size_t depth = 4) {
    return JsonDocument::parse(std::string(text), depth).has_value();
}

}  // namespace

TEST_CASE("what RFC 8259 calls JSON is read, and nothing else") {
    for (const char* good : {"null",
                             " true ",
                             "false\r\n\t",
                             "0",
                             "-0",
                             "10",
                             "-1.50",
                             "1e5",
                             "1E+05",
                             "0.1e-7",
                             "\"\"",
                             "[]",
                             "{}",
                             "[ ]",
                             "{ }",
                             "[1,2]",
                             R"({"a":1,"b":[{}]})",
                             R"({"":0,"":0})",
                             R"("\"\\\/\b\f\n\r\t\u00e9")",
                             R"("\ud83d\ude00")",
                             "\"\xc3\xa9\xf0\x9f\x98\x80\x7f\""}) {
        CAPTURE(good);
        CHECK(is_json(good));
    }
    for (const char* bad : {"",
                            " ",
                            "nul",
                            "nulll",
                            "tru",
                            "True",
                            "+1",
                            "01",
                            "-",
                            "-a",
                            ".5",
                            "1.",
                            "1.e1",
                            "1e",
                            "1e+",
                            "0x1",
                            "NaN",
                            "[",
                            "]",
                            "[1",
                            "[1,",
                            "[1,]",
                            "[,1]",
                            "[1 2]",
                            "{",
                            "{1:2}",
                            "{\"a\"}",
                            "{\"a\":}",
                            "{\"a\":1,}",
                            "{\"a\" 1}",
                            "{\"a\":1 \"b\":2}",
                            "[1}",
                            "1 2",
                            "\"",
                            "\"a",
                            "\"\t\"",
                            "\"\\\"",
                            R"("\x")",
                            R"("\u12")",
                            R"("\u12g4")",
                            R"("\ud83d")",
                            R"("\ud83dx")",
                            R"("\ud83d\n")",
                            R"("\ud83d\ud83d")",
                            R"("\ude00")",
                            "\"\xff\"",
                            "\"\xc0\x80\"",
                            "\"\xed\xa0\x80\"",
                            "'a'",
                            "// x",
                            "\xef\xbb\xbf"
                            "1"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_json(bad));
    }
    CHECK_FALSE(is_json(std::string_view("\"\0\"", 3)));
    CHECK_FALSE(is_json(std::string_view("1\0", 2)));
}

TEST_CASE("nesting is bounded, in lists and objects alike") {
    CHECK(is_json("[[[[1]]]]"));
    CHECK_FALSE(is_json("[[[[[1]]]]]"));
    CHECK_FALSE(is_json(R"({"a":[{"b":[{}]}]})"));
    CHECK(is_json("[[],[],[],[],[],[]]", 2));
}

TEST_CASE("a value gives what it is, and nothing of what it is not") {
    const auto document = *JsonDocument::parse(
        R"( {"n":null, "t":true, "i":-7, "u":18446744073709551615, "f":2.5, "s":"a\u00e9\n\ud83d\ude00/",)"
        R"( "l":[1,[2,"x"],3], "o":{"k":1,"\u006b":2}} )",
        4);
    const JsonValue root = document.root();
    CHECK(root.members().size() == 8);
    CHECK(root.find("n")->is_null());
    CHECK(root.find("t")->boolean() == true);
    CHECK_FALSE(root.find("t")->number());
    CHECK(root.find("i")->integer() == -7);
    CHECK_FALSE(root.find("i")->unsigned_integer());
    CHECK(root.find("i")->number() == -7.0);
    CHECK(root.find("u")->unsigned_integer() == std::numeric_limits<std::uint64_t>::max());
    CHECK_FALSE(root.find("u")->integer());
    CHECK(root.find("f")->number() == 2.5);
    CHECK_FALSE(root.find("f")->integer());
    CHECK(root.find("s")->string() == "a\xc3\xa9\n\xf0\x9f\x98\x80/");
    CHECK(*root.find("s") == "a\xc3\xa9\n\xf0\x9f\x98\x80/");
    CHECK_FALSE(root.find("s")->boolean());
    const auto list = root.find("l")->elements();
    REQUIRE(list.size() == 3);
    CHECK(list[2].integer() == 3);
    CHECK(list[1].elements()[1] == "x");
    CHECK(list[1].text() == R"([2,"x"])");
    CHECK(root.find("o")->members().size() == 2);
    CHECK(root.find("o")->find("k")->integer() == 2);  // the last one of that name
    CHECK_FALSE(root.find("missing"));
    CHECK_FALSE(root.find("l")->find("k"));
    CHECK(JsonDocument::parse("1e-400", 1)->root().number() == 0.0);
    CHECK_FALSE(JsonDocument::parse("-1e400", 1)->root().number());
    CHECK(root.find("l")->size() == 3);
    CHECK(root.find("o")->size() == 2);
    CHECK(root.find("s")->size() == 0);
    CHECK(JsonValue().is_null());
    CHECK(JsonValue().elements().empty());
}

TEST_CASE("what is written comes back, and is what the library writes") {
    JsonWriter out;
    out.begin_object().member("b", true).member("i", -3).member("u", std::uint64_t{1} << 63);
    out.member("d", 0.25)
        .name("l")
        .begin_array()
        .value("x")
        .value(false)
        .begin_array()
        .end_array()
        .end_array();
    out.name("raw").text("[1]").member("s", std::string_view("\"\\\n\t\x01\x1f/\xc3\xa9"));
    out.name("bytes").bytes("\xff").name("words").bytes(std::vector<std::string>{"a", "b"}).end_object();
    const JsonText text = out.take();
    CHECK(text.text == R"({"b":true,"i":-3,"u":9223372036854775808,"d":0.25,"l":["x",false,[]],"raw":[1],)"
                       "\"s\":\"\\\"\\\\\\n\\t\\u0001\\u001f/\xc3\xa9\",\"bytes\":{\"base64\":\"/"
                       "w==\"},\"words\":[\"a\",\"b\"]}");
    CHECK(nlohmann::json::parse(text.text)["s"] == "\"\\\n\t\x01\x1f/\xc3\xa9");
    CHECK(JsonDocument::parse(text.text, 3)->root().find("s")->string() == "\"\\\n\t\x01\x1f/\xc3\xa9");
}
