#include "ipc/rpc.h"

#include <utility>

namespace cancelable::ipc {
namespace {

using nlohmann::json;

constexpr std::string_view kOpening = R"({"jsonrpc":"2.0",)";

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

std::size_t listed_descriptors(JsonValue params) {
    const auto found = params.find("descriptors");
    return found && found->is_array() ? found->size() : 0;
}

JsonValue no_params() {
    static const JsonDocument kNone = *JsonDocument::parse("{}", 1);
    return kNone.root();
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
    const auto document = JsonDocument::parse(std::string(line), kMaxDepth);
    if (!document) return std::nullopt;
    return to_json(document->root());
}

std::expected<Request, BadRequest> parse_request(std::string_view line) {
    BadRequest bad;
    const auto invalid = [&](std::string sentence, RpcCode code = RpcCode::invalid_request) {
        bad.error = protocol_error(code, std::move(sentence));
        return std::unexpected(std::move(bad));
    };
    auto message = JsonDocument::parse(std::string(line), kMaxDepth);
    if (!message)
        return invalid(is_too_deep(line)
                           ? "the message is nested deeper than " + std::to_string(kMaxDepth) + " levels"
                           : "the message is not JSON in UTF-8",
                       RpcCode::parse_error);
    const JsonValue root = message->root();
    if (root.is_array()) return invalid("batches are not supported: send one request per line");
    if (!root.is_object()) return invalid("a request is a JSON object");

    Request request{std::move(*message), std::nullopt, {}, root.find("params").value_or(no_params())};
    bad.descriptor_count = request.descriptor_count();
    if (const auto id = root.find("id")) {
        if (!id->is_string() && !id->is_number() && !id->is_null())
            return invalid("the id of a request is a string, a number or null");
        bad.id = {std::string(id->text())};
        request.id = bad.id;
    }
    const auto version = root.find("jsonrpc");
    if (!version || !(*version == "2.0")) return invalid(R"(a request has "jsonrpc": "2.0")");
    const auto method = root.find("method");
    auto name = method ? method->string() : std::nullopt;
    if (!name) return invalid("a request has a method, which is a string");
    request.method = std::move(*name);
    if (!request.params.is_object()) {
        auto refused = invalid("the parameters are an object: they go by name", RpcCode::invalid_params);
        refused.error().error.data["kind"] = to_string(ErrorCode::usage);
        return refused;
    }
    return request;
}

std::string build_request(std::uint64_t id, std::string_view method, const JsonText& params) {
    std::string line;
    line.reserve(params.text.size() + method.size() + 80);
    line.append(kOpening).append(R"("id":)").append(std::to_string(id)).append(R"(,"method":")");
    return line.append(method).append(R"(","params":)").append(params.text).append("}");
}

// In the place of the result, which may be large.
std::string build_response(const RequestId& id, JsonText result) {
    std::string head(kOpening);
    head.append(R"("id":)").append(id.text).append(R"(,"result":)");
    result.text.insert(0, head).append("}");
    return std::move(result.text);
}

std::string build_error(const RequestId& id, const RpcError& error) {
    const JsonText described =
        to_text({{"code", static_cast<int>(error.code)}, {"message", error.message}, {"data", error.data}});
    std::string line(kOpening);
    line.append(R"("id":)").append(id.text).append(R"(,"error":)");
    return line.append(described.text).append("}");
}

std::string build_notification(std::string_view method, const JsonText& params) {
    std::string line;
    line.reserve(params.text.size() + method.size() + 50);
    line.append(kOpening).append(R"("method":")").append(method).append(R"(","params":)");
    return line.append(params.text).append("}");
}

}  // namespace cancelable::ipc
