// What must hold for any bytes that a peer sends. The fuzzer and a unit test look for bytes for which it does
// not.
#pragma once

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ipc/byte_text.h"
#include "ipc/framing.h"
#include "ipc/requests.h"
#include "ipc/results.h"
#include "ipc/rpc.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc::testing {

inline void must(bool holds) {
    if (!holds) std::abort();
}

// Whatever was decoded means the same after another way over the wire; what was refused has a sentence.
template <class Decode>
void check_method(Decode decode, const nlohmann::json& params) {
    const auto first = decode(params);
    if (!first) return must(!first.error().sentence().empty());
    const nlohmann::json wire = encode(*first);
    const auto second = decode(nlohmann::json::parse(wire.dump()));
    must(second.has_value() && encode(*second) == wire);
}

inline void check_params(const nlohmann::json& params) {
    check_method(decode_run, params);
    check_method(decode_list, params);
    check_method(decode_cancel, params);
    check_method(decode_wait, params);
    check_method(decode_signal, params);
    check_method([](nlohmann::json json) { return decode_pause(std::move(json), "operation.pause"); },
                 params);
    check_method(decode_show, params);
    check_method(decode_current, params);
    check_method(decode_stop, params);
}

inline void check_line(std::string_view line) {
    const auto request = parse_request(line);
    if (request) {
        check_params(request->params);
        must(build_request(1, request->method, request->params).find('\n') == std::string::npos);
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
