// What must hold for any bytes that a peer sends. The fuzzer and a unit test look for bytes for which it does
// not.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ipc/byte_text.h"
#include "ipc/framing.h"
#include "ipc/json_value.h"
#include "ipc/requests.h"
#include "ipc/results.h"
#include "ipc/rpc.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc::testing {

inline void must(bool holds) {
    if (!holds) std::abort();
}

inline JsonText as_text(JsonText text) {
    return text;
}
inline JsonText as_text(const nlohmann::json& value) {
    return to_text(value);
}

// Whatever was decoded means the same after another way over the wire; what was refused has a sentence.
template <class Decode>
void check_method(Decode decode, JsonValue params) {
    const auto first = decode(params);
    if (!first) return must(!first.error().sentence().empty());
    const JsonText wire = as_text(encode(*first));
    const auto again = JsonDocument::parse(wire.text, kMaxDepth);
    must(again.has_value());
    const auto second = decode(again->root());
    must(second.has_value() && as_text(encode(*second)).text == wire.text);
}

inline void check_params(JsonValue params) {
    check_method(decode_run, params);
    check_method(decode_list, params);
    check_method(decode_cancel, params);
    check_method(decode_wait, params);
    check_method(decode_signal, params);
    check_method([](JsonValue pause) { return decode_pause(pause, "operation.pause"); }, params);
    check_method(decode_show, params);
    check_method(decode_current, params);
    check_method(decode_stop, params);
}

// What the library takes for JSON, ours takes for it as well, and reads the same in it; and the other way
// round. But the library stops at a zero byte, passes over a byte order mark, calls a number that is too
// large no JSON, and goes to any depth.
inline void check_value(std::string_view text) {
    if (text.find('\0') != std::string_view::npos || text.starts_with("\xef\xbb\xbf")) return;
    const auto known = nlohmann::json::parse(text, nullptr, false);
    const auto document = JsonDocument::parse(std::string(text), text.size());
    must(document.has_value() || known.is_discarded());
    if (document && !known.is_discarded()) must(to_json(document->root()) == known);
}

inline void check_line(std::string_view line) {
    check_value(line);
    const auto request = parse_request(line);
    if (request) {
        check_params(request->params);
    } else {
        must(!build_error(request.error().id, request.error().error).empty());
    }
    if (const auto message = parse_json(line)) {
        if (const auto operation = decode_operation(*message))
            must(!encode_operation(*operation, WallTime{}).dump().empty());
        must(!from_rpc(*message).sentence().empty());
    }
    must(is_utf8(to_utf8(std::string(line))));
    must(decode_base64(encode_base64(line)) == std::string(line));
    if (const auto time = parse_timestamp(line)) must(format_timestamp(*time) == line);
}

// The stream in pieces of `step` bytes gives the same lines as in one.
inline void check_stream(std::string_view stream, std::size_t step) {
    constexpr std::size_t kMaxLine = 4096;
    FrameReader whole(kMaxLine);
    FrameReader pieces(kMaxLine);
    const bool refused = !whole.feed(stream);
    bool refused_in_pieces = false;
    for (std::size_t i = 0; i < stream.size() && !refused_in_pieces; i += step)
        refused_in_pieces = !pieces.feed(stream.substr(i, step));
    must(refused == refused_in_pieces);
    if (refused) return;
    while (const auto line = whole.next()) {
        must(pieces.next() == *line);
        check_line(*line);
    }
    must(!pieces.next());
    must(whole.has_partial_line() == pieces.has_partial_line());
}

}  // namespace cancelable::ipc::testing
