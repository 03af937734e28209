#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "engine/process/error.h"
#include "ipc/json_value.h"

namespace cancelable::ipc {

bool is_utf8(std::string_view bytes) noexcept;

// The bytes with U+FFFD in place of whatever is not UTF-8.
std::string to_utf8(std::string bytes);

// Bytes as JSON without loss: a string where they are UTF-8, else {"base64": "…"}.
nlohmann::json bytes_to_json(std::string_view bytes);

// The way back. The error's sentence lacks its subject, which the caller knows: "must be a string or …".
Result<std::string> any_bytes_from_json(JsonValue json);

// Refuses zero bytes, which nothing that the kernel is told can hold.
Result<std::string> bytes_from_json(JsonValue json);

std::string encode_base64(std::string_view bytes);
Result<std::string> decode_base64(std::string_view text);

}  // namespace cancelable::ipc
