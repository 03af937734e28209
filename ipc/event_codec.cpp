#include "ipc/event_codec.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"
#include "ipc/params.h"
#include "ipc/selector_codec.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

struct ToJson {
    json operator()(bool value) const { return value; }
    json operator()(std::int64_t value) const { return value; }
    json operator()(double value) const { return value; }
    json operator()(const std::string& value) const { return to_utf8(value); }
    json operator()(const std::vector<std::string>& values) const {
        json array = json::array();
        for (const std::string& value : values)
            array.push_back(to_utf8(value));
        return array;
    }
    json operator()(const std::vector<pid_t>& values) const { return values; }
    json operator()(const std::vector<SignalNumber>& values) const {
        json array = json::array();
        for (const SignalNumber value : values)
            array.push_back(signal_name(value.number));
        return array;
    }
    json operator()(SignalNumber value) const { return signal_name(value.number); }
    json operator()(std::chrono::microseconds value) const { return seconds(value); }
    json operator()(Status value) const { return to_string(value); }
    json operator()(const Exit& value) const {
        if (value.by_signal) return {{"signal", signal_name(value.value)}};
        return {{"code", value.value}};
    }
    json operator()(const Requester& value) const { return {{"uid", value.uid}, {"pid", value.pid}}; }
};

EventKind kind_from(Params& params, const std::string& name) {
    const auto kind = parse_event_kind(name);
    if (!kind) params.fail("kinds", "holds \"" + to_utf8(name) + "\", which is no kind of event");
    return kind.value_or(EventKind::accepted);
}

}  // namespace

json encode_event(const Event& event) {
    json encoded = json::object();
    for (const EventField& field : event.fields)
        encoded[std::string(field.name)] = std::visit(ToJson(), field.value);
    encoded["sequence"] = event.sequence;
    encoded["time"] = format_timestamp(event.at);
    encoded["kind"] = to_string(event.kind);
    if (!event.operation) return encoded;
    const OperationSpec& spec = *event.operation->spec;
    encoded["id"] = spec.id;
    encoded["name"] = to_utf8(spec.name);
    json& tags = encoded["tags"] = json::object();
    for (const auto& [key, value] : spec.tags)
        tags[to_utf8(key)] = to_utf8(value);
    encoded["parent"] = spec.parent == 0 ? json() : json(spec.parent);
    encoded["status"] = to_string(event.operation->status);
    return encoded;
}

json encode(const SubscribeParams& subscribe) {
    json encoded = json::object();
    if (json selector = encode_selector(subscribe.selector); !selector.empty())
        encoded["selector"] = std::move(selector);
    if (!subscribe.kinds.empty()) {
        json& kinds = encoded["kinds"] = json::array();
        for (const EventKind kind : subscribe.kinds)
            kinds.push_back(to_string(kind));
    }
    if (subscribe.after) encoded["after"] = *subscribe.after;
    if (subscribe.replay) encoded["replay"] = *subscribe.replay;
    if (!subscribe.follow) encoded["follow"] = false;
    return encoded;
}

Result<SubscribeParams> decode_subscribe(JsonValue encoded) {
    SubscribeParams subscribe;
    Params params(encoded, "events.subscribe");
    if (const auto said = params.take("selector")) {
        auto selector = decode_selector(*said);
        if (selector)
            subscribe.selector = std::move(*selector);
        else
            params.adopt(selector.error());
    }
    std::vector<std::string> kinds;
    params.get("kinds", kinds);
    for (const std::string& name : kinds)
        subscribe.kinds.push_back(kind_from(params, name));
    params.get("after", subscribe.after);
    params.get("replay", subscribe.replay);
    params.get("follow", subscribe.follow);
    if (subscribe.after && subscribe.replay) params.fail("replay", "cannot be given together with \"after\"");
    if (auto result = params.finish(); !result) return std::unexpected(result.error());
    return subscribe;
}

json encode(const UnsubscribeParams& params) {
    return {{"subscription", params.subscription}};
}

Result<UnsubscribeParams> decode_unsubscribe(JsonValue encoded) {
    UnsubscribeParams unsubscribe;
    Params params(encoded, "events.unsubscribe");
    params.require("subscription");
    params.get("subscription", unsubscribe.subscription);
    if (auto result = params.finish(); !result) return std::unexpected(result.error());
    return unsubscribe;
}

}  // namespace cancelable::ipc
