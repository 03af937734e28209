#include "ipc/rpc.h"

#include <doctest/doctest.h>

using namespace cancelable;
using namespace cancelable::ipc;
using nlohmann::json;

TEST_CASE("a request is taken apart into id, method and parameters") {
    const auto request = parse_request(R"({"jsonrpc":"2.0","id":"a","method":"m","params":{"x":[1]}})");
    REQUIRE(request);
    CHECK(request->id->text == "\"a\"");
    CHECK(request->method == "m");
    CHECK(request->params.text() == R"({"x":[1]})");
    CHECK(request->descriptor_count() == 0);
}

TEST_CASE("a request without an id is a notification, and one with null is not") {
    CHECK_FALSE(parse_request(R"({"jsonrpc":"2.0","method":"m"})")->id.has_value());
    CHECK(parse_request(R"({"jsonrpc":"2.0","id":null,"method":"m"})")->id->text == "null");
}

TEST_CASE("each bad request has its standard code, and the id where it could be read") {
    struct Bad {
        const char* line;
        int code;
        json id;
    };
    const Bad bad[] = {
        {"", -32700, nullptr},
        {"{", -32700, nullptr},
        {"hello", -32700, nullptr},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700, nullptr},
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"} x", -32700, nullptr},
        {"[]", -32600, nullptr},
        {"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}]", -32600, nullptr},
        {"1", -32600, nullptr},
        {"null", -32600, nullptr},
        {R"({"id":1,"method":"m"})", -32600, 1},
        {R"({"jsonrpc":"1.0","id":1,"method":"m"})", -32600, 1},
        {R"({"jsonrpc":2.0,"id":1,"method":"m"})", -32600, 1},
        {R"({"jsonrpc":"2.0","id":1})", -32600, 1},
        {R"({"jsonrpc":"2.0","id":"x","method":7})", -32600, "x"},
        {R"({"jsonrpc":"2.0","id":{},"method":"m"})", -32600, nullptr},
        {R"({"jsonrpc":"2.0","id":true,"method":"m"})", -32600, nullptr},
        {R"({"jsonrpc":"2.0","id":3,"method":"m","params":[1]})", -32602, 3},
        {R"({"jsonrpc":"2.0","id":3,"method":"m","params":"x"})", -32602, 3},
    };
    for (const auto& [line, code, id] : bad) {
        CAPTURE(line);
        const auto request = parse_request(line);
        REQUIRE_FALSE(request);
        CHECK(static_cast<int>(request.error().error.code) == code);
        CHECK(json::parse(request.error().id.text) == id);
        CHECK_FALSE(request.error().error.message.empty());
    }
}

TEST_CASE("a bad request still says how many descriptors are its own") {
    const auto request = parse_request(R"({"jsonrpc":"2.0","id":1,"params":{"descriptors":["a","b"]}})");
    REQUIRE_FALSE(request);
    CHECK(request.error().descriptor_count == 2);
    CHECK(parse_request(R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"descriptors":["a"]}})")
              ->descriptor_count() == 1);
}

TEST_CASE("nesting is refused beyond its bound before it is parsed") {
    const auto nested = [](std::size_t depth) {
        return R"({"jsonrpc":"2.0","id":1,"method":"m","params":{"x":)" + std::string(depth - 2, '[') +
               std::string(depth - 2, ']') + "}}";
    };
    CHECK(parse_request(nested(kMaxDepth)));
    const auto deep = parse_request(nested(kMaxDepth + 1));
    REQUIRE_FALSE(deep);
    CHECK(deep.error().error.message == "the message is nested deeper than 32 levels");
    // Brackets in strings are no nesting, also behind an escaped quote.
    CHECK(parse_request(R"({"jsonrpc":"2.0","method":"m","params":{"x":"\")" + std::string(100, '[') +
                        R"("}})"));
}

TEST_CASE("an error goes over the wire with its kind and its sentence") {
    for (const ErrorCode code :
         {ErrorCode::system, ErrorCode::usage, ErrorCode::not_found, ErrorCode::refused, ErrorCode::limit,
          ErrorCode::damaged, ErrorCode::protocol, ErrorCode::stopping}) {
        const json message = json::parse(build_error({"7"}, to_rpc(Error{code, "cannot do it", 0})));
        CHECK(message["id"] == 7);
        CHECK(message["error"]["data"]["kind"] == to_string(code));
        const Error back = from_rpc(message["error"]);
        CHECK(back.code == code);
        CHECK(back.sentence() == "cannot do it");
    }
    const json message =
        json::parse(build_error({"null"}, to_rpc(Error{ErrorCode::system, "cannot open \"x\"", ENOENT})));
    CHECK(message["id"] == nullptr);
    CHECK(message["error"]["code"] == -32004);
    CHECK(message["error"]["message"] == "cannot open \"x\": no such file or directory");
    CHECK(message["error"]["data"]["errno"] == ENOENT);
    CHECK(from_rpc(message["error"]).sentence() == "cannot open \"x\": no such file or directory");
}

TEST_CASE("an error that makes no sense is still an error") {
    for (const json& nonsense : {json(), json(3), json{{"code", "x"}}, json{{"message", 4}}})
        CHECK(from_rpc(nonsense).code == ErrorCode::protocol);
}

TEST_CASE("what is built is one line, whatever bytes are in it") {
    for (const std::string& line :
         {build_response({"1"}, to_text("a\nb\xff\xfe")), build_request(2, "m", to_text({{"x", "\n\xc3"}})),
          build_notification("n", to_text({{"x", "\xed\xa0\x80"}})),
          build_error({"null"}, RpcError{RpcCode::refused, "no \"\xff\"", json::object()})}) {
        CHECK(line.find('\n') == std::string::npos);
        CHECK(json::parse(line)["jsonrpc"] == "2.0");
    }
}
