#include "ipc/params.h"

#include <cmath>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

// As far as a time can lie away: a hundred years.
constexpr double kMaxSeconds = 100.0 * 366 * 24 * 3600;

// A time that was a whole number of milliseconds stays it, although 0.001 is no binary fraction.
constexpr double kRoundingSlack = 1e-6;

}  // namespace

Params::Params(json& object, std::string_view what) : object_(object), what_(what) {
    if (!object_.is_object()) error_ = Error{ErrorCode::usage, what_ + " must be an object", 0};
}

std::optional<json> Params::take(std::string_view name) {
    if (error_) return std::nullopt;
    const auto found = object_.find(name);
    if (found == object_.end()) return std::nullopt;
    std::optional<json> value;
    if (!found->is_null()) value = std::move(*found);
    object_.erase(found);
    return value;
}

bool Params::is_given(std::string_view name) const {
    if (error_) return false;
    const auto found = object_.find(name);
    return found != object_.end() && !found->is_null();
}

void Params::require(std::string_view name) {
    if (!is_given(name)) fail(name, "is missing");
}

void Params::get(std::string_view name, bool& target) {
    const auto value = take(name);
    if (!value) return;
    if (!value->is_boolean()) return fail(name, "must be true or false");
    target = value->get<bool>();
}

void Params::get(std::string_view name, std::string& target) {
    auto value = take(name);
    if (!value) return;
    auto bytes = bytes_from_json(*value);
    if (!bytes) return fail(name, bytes.error().doing);
    target = std::move(*bytes);
}

void Params::get(std::string_view name, std::vector<std::string>& target) {
    auto value = take(name);
    if (!value) return;
    if (!value->is_array()) return fail(name, "must be an array of strings");
    target.clear();
    target.reserve(value->size());
    for (json& element : *value) {
        auto bytes = bytes_from_json(element);
        if (!bytes)
            return fail(std::string(name) + "[" + std::to_string(target.size()) + "]", bytes.error().doing);
        target.push_back(std::move(*bytes));
    }
}

void Params::get(std::string_view name, std::chrono::milliseconds& target) {
    const auto value = take(name);
    if (!value) return;
    const double seconds = value->is_number() ? value->get<double>() : -1;
    if (!(seconds >= 0 && seconds <= kMaxSeconds))
        return fail(name, "must be a number of seconds, from 0 to a hundred years");
    target = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000 - kRoundingSlack)));
    if (seconds > 0 && target.count() == 0) target = std::chrono::milliseconds(1);
}

void Params::get_signal(std::string_view name, int& target) {
    const auto value = take(name);
    if (!value) return;
    std::optional<int> signal;
    if (value->is_string()) signal = parse_signal(value->get_ref<const std::string&>());
    if (value->is_number_integer()) signal = parse_signal(value->dump());
    if (!signal) return fail(name, "must be the name or the number of a signal");
    target = *signal;
}

// What is beyond the signed range keeps its bits on the way through.
std::optional<std::int64_t> Params::integer(std::string_view name, std::int64_t min, std::uint64_t max) {
    const auto value = take(name);
    if (!value) return std::nullopt;
    if (value->is_number_integer()) {
        const bool negative = !value->is_number_unsigned() && value->get<std::int64_t>() < 0;
        const bool fits =
            negative ? value->get<std::int64_t>() >= min
                     : value->get<std::uint64_t>() <= max &&
                           (min <= 0 || value->get<std::uint64_t>() >= static_cast<std::uint64_t>(min));
        if (fits) return value->get<std::int64_t>();
    }
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
    if (object_.empty()) return {};
    return failure(ErrorCode::usage, "unknown parameter \"" + object_.begin().key() + "\" of " + what_);
}

}  // namespace cancelable::ipc
