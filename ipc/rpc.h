// JSON-RPC 2.0, as far as it is spoken here: single messages, parameters by name, no batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/process/error.h"
#include "ipc/json_value.h"
#include "ipc/json_writer.h"

namespace cancelable::ipc {

inline constexpr int kProtocolVersion = 1;

// Deeper nesting is refused: what is small on the wire must not be large in memory.
inline constexpr std::size_t kMaxDepth = 32;

// The `code` of an error. The first five are the standard's, the others one for each ErrorCode that remains.
enum class RpcCode : int {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    internal_error = -32603,
    not_found = -32001,
    refused = -32002,
    limit = -32003,
    system = -32004,
    damaged = -32005,
    stopping = -32006,
};

struct RpcError {
    RpcCode code = RpcCode::internal_error;
    std::string message;                             // one sentence
    nlohmann::json data = nlohmann::json::object();  // `kind`: the name of an ErrorCode; and what else helps
};

RpcError to_rpc(const Error& error);
Error from_rpc(const nlohmann::json& error_object);

// The id of a request as it was written: a string, a number or null, and so it goes back.
using RequestId = JsonText;

struct Request {
    JsonDocument message;         // what params is part of
    std::optional<RequestId> id;  // none: a notification, which gets no answer
    std::string method;
    JsonValue params;  // an object

    // How many descriptors belong to it: the length of params.descriptors.
    std::size_t descriptor_count() const;
};

// A line that is no good request. Where its id or its descriptors could be read, they are here, so that the
// error reaches who asked and the next message gets its own descriptors.
struct BadRequest {
    RpcError error;
    RequestId id{"null"};
    std::size_t descriptor_count = 0;
};

std::expected<Request, BadRequest> parse_request(std::string_view line);

// One line each, without the newline.
std::string build_request(std::uint64_t id, std::string_view method, const JsonText& params);
std::string build_response(const RequestId& id, JsonText result);
std::string build_error(const RequestId& id, const RpcError& error);
std::string build_notification(std::string_view method, const JsonText& params);

// Parses any message, bounded in depth; nothing where it is not JSON.
std::optional<nlohmann::json> parse_json(std::string_view line);

}  // namespace cancelable::ipc
