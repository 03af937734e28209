#pragma once

#include <nlohmann/json_fwd.hpp>

#include "engine/process/error.h"
#include "engine/selector.h"
#include "ipc/json_value.h"

namespace cancelable::ipc {

// {"ids": [], "globs": [], "all": bool, "name", "tags": {}, "status": [], "older_than", "newer_than",
// "parent"}; what is not said is left out.
nlohmann::json encode_selector(const Selector& selector);
Result<Selector> decode_selector(JsonValue json);

// An object, or an array of [key, value] pairs where a key is not UTF-8; sorted by key either way.
nlohmann::json encode_tags(const Tags& tags);
Result<Tags> decode_tags(JsonValue json);

}  // namespace cancelable::ipc
