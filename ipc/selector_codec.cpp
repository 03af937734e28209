#include "ipc/selector_codec.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "ipc/byte_text.h"
#include "ipc/params.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

Result<> add_tag(Tags& tags, std::string key, JsonValue value) {
    auto bytes = bytes_from_json(value);
    if (!bytes) return failure(ErrorCode::usage, "tag \"" + key + "\" " + bytes.error().doing);
    if (key.empty()) return failure(ErrorCode::usage, "the key of a tag is empty");
    if (key.find('\0') != std::string::npos)
        return failure(ErrorCode::usage, "the key of a tag holds a zero byte");
    tags.emplace_back(std::move(key), std::move(*bytes));
    return {};
}

void get_time(Params& params, std::string_view name, std::optional<WallTime>& target) {
    if (!params.is_given(name)) return;
    std::string text;
    params.get(name, text);
    target = parse_timestamp(text);
    if (!target) params.fail(name, "must be a time in UTC with milliseconds, as 2026-03-01T09:05:00.250Z");
}

}  // namespace

json encode_tags(const Tags& tags) {
    const bool plain = std::ranges::all_of(tags, [](const auto& tag) { return is_utf8(tag.first); });
    json encoded = plain ? json::object() : json::array();
    for (const auto& [key, value] : tags) {
        if (plain)
            encoded[key] = bytes_to_json(value);
        else
            encoded.push_back(json::array({bytes_to_json(key), bytes_to_json(value)}));
    }
    return encoded;
}

Result<Tags> decode_tags(JsonValue encoded) {
    Tags tags;
    if (encoded.is_object()) {
        for (const auto& [key, value] : encoded.members())
            if (auto added = add_tag(tags, *key.string(), value); !added)
                return std::unexpected(added.error());
    } else if (encoded.is_array()) {
        for (const JsonValue element : encoded.elements()) {
            const auto pair = element.elements();
            if (pair.size() != 2)
                return failure(ErrorCode::usage, "a tag in an array must be a pair of key and value");
            auto key = bytes_from_json(pair[0]);
            if (!key) return failure(ErrorCode::usage, "the key of a tag " + key.error().doing);
            if (auto added = add_tag(tags, std::move(*key), pair[1]); !added)
                return std::unexpected(added.error());
        }
    } else {
        return failure(ErrorCode::usage, "tags must be an object");
    }
    std::ranges::sort(tags);
    const auto same =
        std::ranges::adjacent_find(tags, {}, [](const auto& tag) { return std::string_view(tag.first); });
    if (same != tags.end()) return failure(ErrorCode::usage, "tag \"" + same->first + "\" is there twice");
    return tags;
}

json encode_selector(const Selector& selector) {
    json encoded = json::object();
    if (!selector.ids.empty()) encoded["ids"] = selector.ids;
    for (const std::string& glob : selector.globs)
        encoded["globs"].push_back(bytes_to_json(glob));
    if (selector.all) encoded["all"] = true;
    if (selector.name) encoded["name"] = bytes_to_json(*selector.name);
    if (!selector.tags.empty()) encoded["tags"] = encode_tags(selector.tags);
    for (const Status status : selector.statuses)
        encoded["status"].push_back(to_string(status));
    if (selector.older_than) encoded["older_than"] = seconds(*selector.older_than);
    if (selector.newer_than) encoded["newer_than"] = seconds(*selector.newer_than);
    if (selector.parent) encoded["parent"] = *selector.parent;
    if (selector.since) encoded["since"] = format_timestamp(*selector.since);
    if (selector.until) encoded["until"] = format_timestamp(*selector.until);
    return encoded;
}

Result<Selector> decode_selector(JsonValue encoded) {
    Selector selector;
    Params params(encoded, "selector");
    if (const auto ids = params.take("ids")) {
        if (!ids->is_array()) params.fail("ids", "must be an array of numbers");
        for (const JsonValue element : ids->elements()) {
            const OperationId id = element.unsigned_integer().value_or(0);
            if (id != 0)
                selector.ids.push_back(id);
            else
                params.fail("ids", "must hold numbers of operations");
        }
    }
    params.get("globs", selector.globs);
    params.get("all", selector.all);
    params.get("name", selector.name);
    if (auto tags = params.take("tags")) {
        auto decoded = decode_tags(*tags);
        if (decoded)
            selector.tags = std::move(*decoded);
        else
            params.adopt(decoded.error());
    }
    std::vector<std::string> statuses;
    params.get("status", statuses);
    for (const std::string& name : statuses) {
        if (const auto status = parse_status(name))
            selector.statuses.push_back(*status);
        else
            params.fail("status", "knows no \"" + name + "\"");
    }
    params.get("older_than", selector.older_than);
    params.get("newer_than", selector.newer_than);
    params.get("parent", selector.parent);
    get_time(params, "since", selector.since);
    get_time(params, "until", selector.until);
    if (auto finished = params.finish(); !finished) return std::unexpected(finished.error());
    return selector;
}

}  // namespace cancelable::ipc
