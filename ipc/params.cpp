#include "ipc/params.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"

namespace cancelable::ipc {
namespace {

// As far as a time can lie away: a hundred years.
constexpr double kMaxSeconds = 100.0 * 366 * 24 * 3600;

// A time that was a whole number of milliseconds stays it, although 0.001 is no binary fraction.
constexpr double kRoundingSlack = 1e-6;

}  // namespace

Params::Params(JsonValue object, std::string_view what) : what_(what) {
    if (!object.is_object()) {
        error_ = Error{ErrorCode::usage, std::string(what_) + " must be an object", 0};
        return;
    }
    const auto members = object.members();
    members_.reserve(members.size());
    for (const auto& [name, value] : members)
        members_.push_back({*name.string(), value});
}

// Of a name that is there twice the last one counts, as for most who read JSON.
std::optional<JsonValue> Params::take(std::string_view name) {
    if (error_) return std::nullopt;
    std::optional<JsonValue> found;
    for (Member& member : members_) {
        if (member.name != name) continue;
        member.is_taken = true;
        found = member.value;
    }
    return found && !found->is_null() ? found : std::nullopt;
}

bool Params::is_given(std::string_view name) const {
    if (error_) return false;
    const auto found = std::ranges::find(members_.rbegin(), members_.rend(), name, &Member::name);
    return found != members_.rend() && !found->value.is_null();
}

void Params::require(std::string_view name) {
    if (!is_given(name)) fail(name, "is missing");
}

void Params::get(std::string_view name, bool& target) {
    const auto value = take(name);
    if (!value) return;
    const auto said = value->boolean();
    if (!said) return fail(name, "must be true or false");
    target = *said;
}

void Params::get(std::string_view name, std::string& target) {
    const auto value = take(name);
    if (!value) return;
    auto bytes = bytes_from_json(*value);
    if (!bytes) return fail(name, bytes.error().doing);
    target = std::move(*bytes);
}

void Params::get(std::string_view name, std::vector<std::string>& target) {
    const auto value = take(name);
    if (!value) return;
    if (!value->is_array()) return fail(name, "must be an array of strings");
    const auto elements = value->elements();
    target.clear();
    target.reserve(elements.size());
    for (const JsonValue element : elements) {
        auto bytes = bytes_from_json(element);
        if (!bytes)
            return fail(std::string(name) + "[" + std::to_string(target.size()) + "]", bytes.error().doing);
        target.push_back(std::move(*bytes));
    }
}

void Params::get(std::string_view name, std::chrono::milliseconds& target) {
    const auto value = take(name);
    if (!value) return;
    const double seconds = value->number().value_or(-1);
    if (!(seconds >= 0 && seconds <= kMaxSeconds))
        return fail(name, "must be a number of seconds, from 0 to a hundred years");
    target = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000 - kRoundingSlack)));
    if (seconds > 0 && target.count() == 0) target = std::chrono::milliseconds(1);
}

void Params::get_signal(std::string_view name, int& target) {
    const auto value = take(name);
    if (!value) return;
    const auto signal =
        parse_signal(value->is_number() ? std::string(value->text()) : value->string().value_or(""));
    if (!signal) return fail(name, "must be the name or the number of a signal");
    target = *signal;
}

// What is beyond the signed range keeps its bits on the way through.
std::optional<std::int64_t> Params::integer(std::string_view name, std::int64_t min, std::uint64_t max) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    const auto positive = value->unsigned_integer();
    if (positive && *positive <= max && (min <= 0 || *positive >= static_cast<std::uint64_t>(min)))
        return static_cast<std::int64_t>(*positive);
    if (const auto any = value->integer(); any && *any <= 0 && *any >= min) return any;
    fail(name, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
}

void Params::fail(std::string_view name, std::string_view sentence) {
    if (error_) return;
    error_ = Error{ErrorCode::usage, {}, 0};
    error_->doing.append("parameter \"")
        .append(name)
        .append("\" of ")
        .append(what_)
        .append(" ")
        .append(sentence);
}

void Params::adopt(const Error& error) {
    if (!error_) error_ = error;
}

Result<> Params::finish() const {
    if (error_) return std::unexpected(*error_);
    const auto unknown = std::ranges::find(members_, false, &Member::is_taken);
    if (unknown == members_.end()) return {};
    return failure(ErrorCode::usage, "unknown parameter \"" + unknown->name + "\" of " + std::string(what_));
}

}  // namespace cancelable::ipc
