// The parameters of what is asked for from inside an operation: operation.shield, .progress and .result.
#include <nlohmann/json.hpp>
#include <utility>

#include "ipc/byte_text.h"
#include "ipc/params.h"
#include "ipc/requests.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

// A result may hold anything, zero bytes included: nobody tells it to the kernel.
void get_bytes(Params& params, std::string_view name, std::string& target) {
    const auto value = params.take(name);
    if (!value) return;
    auto bytes = any_bytes_from_json(*value);
    if (!bytes) return params.fail(name, bytes.error().doing);
    target = std::move(*bytes);
}

}  // namespace

json encode(const ShieldParams& shield) {
    json encoded{{"descriptors", {"shield"}}, {"limit", seconds(shield.limit)}};
    if (shield.operation_id != 0) encoded["operation_id"] = shield.operation_id;
    return encoded;
}

Result<ShieldParams> decode_shield(JsonValue encoded) {
    ShieldParams shield;
    Params params(encoded, "operation.shield");
    std::vector<std::string> descriptors;
    params.require("descriptors");
    params.get("descriptors", descriptors);
    if (descriptors != std::vector<std::string>{"shield"})
        params.fail("descriptors", R"(must be ["shield"])");
    params.get("limit", shield.limit);
    params.get("operation_id", shield.operation_id);
    if (auto finished = params.finish(); !finished) return std::unexpected(finished.error());
    return shield;
}

json encode(const ProgressParams& progress) {
    json encoded{{"fraction", progress.fraction}};
    if (!progress.text.empty()) encoded["text"] = bytes_to_json(progress.text);
    if (progress.operation_id != 0) encoded["operation_id"] = progress.operation_id;
    return encoded;
}

Result<ProgressParams> decode_progress(JsonValue encoded) {
    ProgressParams progress;
    Params params(encoded, "operation.progress");
    params.require("fraction");
    if (const auto fraction = params.take("fraction")) {
        progress.fraction = fraction->number().value_or(-1);
        if (!(progress.fraction >= 0 && progress.fraction <= 1))
            params.fail("fraction", "must be a number from 0 to 1");
    }
    params.get("text", progress.text);
    params.get("operation_id", progress.operation_id);
    if (auto finished = params.finish(); !finished) return std::unexpected(finished.error());
    return progress;
}

json encode(const ResultParams& result) {
    json encoded{{"result", bytes_to_json(result.bytes)}};
    if (result.operation_id != 0) encoded["operation_id"] = result.operation_id;
    return encoded;
}

Result<ResultParams> decode_result(JsonValue encoded) {
    ResultParams result;
    Params params(encoded, "operation.result");
    params.require("result");
    get_bytes(params, "result", result.bytes);
    params.get("operation_id", result.operation_id);
    if (auto finished = params.finish(); !finished) return std::unexpected(finished.error());
    return result;
}

}  // namespace cancelable::ipc
