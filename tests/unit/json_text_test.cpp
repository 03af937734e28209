#include "ipc/json_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace cancelable::ipc {

using nlohmann::json;

TEST_CASE("a member is found as it stands, whatever the others hold") {
    const std::string text =
        R"( {"a":"}],\"b\":1,\\", "list" : [1,{"b":[2]}, "\\"] ,"b":{"b":3} , "c":-1.5e3,"d":true} )";
    REQUIRE(json::accept(text));
    CHECK(member_text(text, "a") == R"("}],\"b\":1,\\")");
    CHECK(member_text(text, "list") == R"([1,{"b":[2]}, "\\"])");
    CHECK(member_text(text, "b") == R"({"b":3})");
    CHECK(member_text(text, "c") == "-1.5e3");
    CHECK(member_text(text, "d") == "true");
    CHECK_FALSE(member_text(text, "e"));
}

TEST_CASE("the elements of an array are found one by one") {
    const std::string text = R"([ {"a":[1,2]} ,"x,]",3,[], null ])";
    const auto elements = element_texts(text);
    REQUIRE(elements);
    const json parsed = json::parse(text);
    REQUIRE(elements->size() == parsed.size());
    for (std::size_t i = 0; i < parsed.size(); ++i)
        CHECK(json::parse((*elements)[i]) == parsed[i]);
    CHECK(element_texts("[]")->empty());
    CHECK(element_texts(" [ ] ")->empty());
}

TEST_CASE("of what is no JSON nothing is read beyond its end") {
    const std::string text = R"({"a":[{"b":"c\"d"},1],"e":"f"})";
    for (std::size_t length = 0; length < text.size(); ++length) {
        const std::string cut = text.substr(0, length);
        static_cast<void>(member_text(cut, "e"));
        static_cast<void>(element_texts(cut.substr(std::min<std::size_t>(5, length))));
    }
    for (const char* nonsense :
         {"", "x", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[", "[1", "[1,", "]", "}"}) {
        CHECK_FALSE(member_text(nonsense, "b"));
        CHECK_FALSE(element_texts(nonsense));
    }
}

}  // namespace cancelable::ipc
