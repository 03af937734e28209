#include "ipc/rpc.h"

#include <utility>

namespace cancelable::ipc {
namespace {

using nlohmann::json;

std::string serialize(const json& message) {
    return message.dump(-1, ' ', false, json::error_handler_t::replace);
}

RpcCode code_of(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage:
            return RpcCode::invalid_params;
        case ErrorCode::not_found:
            return RpcCode::not_found;
        case ErrorCode::refused:
            return RpcCode::refused;
        case ErrorCode::limit:
            return RpcCode::limit;
        case ErrorCode::protocol:
            return RpcCode::invalid_request;
        case ErrorCode::damaged:
            return RpcCode::damaged;
        case ErrorCode::stopping:
            return RpcCode::stopping;
        case ErrorCode::system:
        case ErrorCode::unreachable:
            break;
    }
    return RpcCode::system;
}

ErrorCode kind_of(std::int64_t code) noexcept {
    switch (static_cast<RpcCode>(code)) {
        case RpcCode::invalid_params:
            return ErrorCode::usage;
        case RpcCode::not_found:
            return ErrorCode::not_found;
        case RpcCode::refused:
            return ErrorCode::refused;
        case RpcCode::limit:
            return ErrorCode::limit;
        case RpcCode::damaged:
            return ErrorCode::damaged;
        case RpcCode::stopping:
            return ErrorCode::stopping;
        case RpcCode::system:
            return ErrorCode::system;
        default:
            return ErrorCode::protocol;
    }
}

// Brackets outside of strings, counted; what is not JSON at all the parser finds.
bool is_too_deep(std::string_view text) noexcept {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') {
                ++i;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > kMaxDepth) return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

RpcError protocol_error(RpcCode code, std::string message) {
    return {code, std::move(message), {{"kind", to_string(ErrorCode::protocol)}}};
}

std::size_t listed_descriptors(const json& params) {
    if (!params.is_object()) return 0;
    const auto found = params.find("descriptors");
    return found != params.end() && found->is_array() ? found->size() : 0;
}

}  // namespace

RpcError to_rpc(const Error& error) {
    RpcError rpc{code_of(error.code), error.sentence(), {{"kind", to_string(error.code)}}};
    if (error.os_errno != 0) rpc.data["errno"] = error.os_errno;
    return rpc;
}

Error from_rpc(const json& error_object) {
    Error error{ErrorCode::protocol, "the supervisor answered with an error that says nothing", 0};
    if (!error_object.is_object()) return error;
    if (const auto code = error_object.find("code"); code != error_object.end() && code->is_number_integer())
        error.code = kind_of(code->get<std::int64_t>());
    if (const auto message = error_object.find("message");
        message != error_object.end() && message->is_string())
        error.doing = message->get_ref<const std::string&>();
    return error;
}

std::size_t Request::descriptor_count() const {
    return listed_descriptors(params);
}

std::optional<json> parse_json(std::string_view line) {
    if (is_too_deep(line)) return std::nullopt;
    json message = json::parse(line, nullptr, false);
    if (message.is_discarded()) return std::nullopt;
    return message;
}

std::expected<Request, BadRequest> parse_request(std::string_view line) {
    std::optional<json> message = parse_json(line);
    if (!message)
        return std::unexpected(BadRequest{protocol_error(
            RpcCode::parse_error,
            is_too_deep(line) ? "the message is nested deeper than " + std::to_string(kMaxDepth) + " levels"
                              : "the message is not JSON in UTF-8")});
    BadRequest bad;
    const auto invalid = [&](std::string sentence, RpcCode code = RpcCode::invalid_request) {
        bad.error = protocol_error(code, std::move(sentence));
        return std::unexpected(std::move(bad));
    };
    if (message->is_array()) return invalid("batches are not supported: send one request per line");
    if (!message->is_object()) return invalid("a request is a JSON object");

    Request request;
    if (const auto params = message->find("params"); params != message->end()) {
        request.params = std::move(*params);
        bad.descriptor_count = listed_descriptors(request.params);
    }
    if (const auto id = message->find("id"); id != message->end()) {
        if (!id->is_string() && !id->is_number() && !id->is_null())
            return invalid("the id of a request is a string, a number or null");
        bad.id = *id;
        request.id = std::move(*id);
    }
    const auto version = message->find("jsonrpc");
    if (version == message->end() || *version != "2.0") return invalid(R"(a request has "jsonrpc": "2.0")");
    const auto method = message->find("method");
    if (method == message->end() || !method->is_string())
        return invalid("a request has a method, which is a string");
    request.method = std::move(method->get_ref<std::string&>());
    if (!request.params.is_object()) {
        auto refused = invalid("the parameters are an object: they go by name", RpcCode::invalid_params);
        refused.error().error.data["kind"] = to_string(ErrorCode::usage);
        return refused;
    }
    return request;
}

std::string build_request(std::uint64_t id, std::string_view method, json params) {
    return serialize({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
}

std::string build_request_of_text(std::uint64_t id, std::string_view method, std::string_view params) {
    std::string line;
    line.reserve(params.size() + method.size() + 80);
    line.append(R"({"jsonrpc":"2.0","id":)").append(std::to_string(id)).append(R"(,"method":")");
    return line.append(method).append(R"(","params":)").append(params).append("}");
}

std::string build_response(const json& id, json result) {
    return serialize({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}});
}

std::string build_response_of_text(const json& id, std::string_view result) {
    std::string line = serialize({{"jsonrpc", "2.0"}, {"id", id}});
    line.pop_back();
    return line.append(R"(,"result":)").append(result).append("}");
}

std::string build_error(const json& id, const RpcError& error) {
    return serialize(
        {{"jsonrpc", "2.0"},
         {"id", id},
         {"error",
          {{"code", static_cast<int>(error.code)}, {"message", error.message}, {"data", error.data}}}});
}

std::string build_notification(std::string_view method, json params) {
    return serialize({{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}});
}

}  // namespace cancelable::ipc
