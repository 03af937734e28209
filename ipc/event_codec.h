// Events as JSON, and the parameters of the methods that follow them. share/doc/protocol.md says what each
// means.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "engine/event_log.h"
#include "engine/process/error.h"
#include "engine/selector.h"
#include "ipc/json_value.h"

namespace cancelable::ipc {

// {"sequence", "time", "kind", of its operation "id", "name", "tags", "parent", "status", and its own fields}
nlohmann::json encode_event(const Event& event);

// events.subscribe
struct SubscribeParams {
    Selector selector;
    std::vector<EventKind> kinds;        // any of; empty: every one
    std::optional<std::uint64_t> after;  // goes on behind this number
    std::optional<std::size_t> replay;   // begins with the last so many that are remembered
    bool follow = true;                  // false: ends with those that there are
};
nlohmann::json encode(const SubscribeParams& params);
Result<SubscribeParams> decode_subscribe(JsonValue params);

// events.unsubscribe
struct UnsubscribeParams {
    std::uint64_t subscription = 0;
};
nlohmann::json encode(const UnsubscribeParams& params);
Result<UnsubscribeParams> decode_unsubscribe(JsonValue params);

}  // namespace cancelable::ipc
