#pragma once

#include <concepts>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cancelable::ipc {

// A value as its JSON text, in one line: not to be taken for a string that is to become JSON.
struct JsonText {
    std::string text;
};

// Bytes that are not UTF-8 become U+FFFD; it never throws because of them.
JsonText to_text(const nlohmann::json& value);

// JSON text, written from left to right: for what is sent often, and known in advance. Commas come by
// themselves.
class JsonWriter {
public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& name(std::string_view name);  // of the member whose value comes next; plain ASCII

    JsonWriter& value(std::same_as<bool> auto value) { return text(value ? "true" : "false"); }
    JsonWriter& value(double value);  // a finite one
    template <std::integral Integer>
        requires(!std::same_as<Integer, bool>)
    JsonWriter& value(Integer value) {
        if constexpr (std::unsigned_integral<Integer>)
            return number(static_cast<std::uint64_t>(value));
        else
            return number(static_cast<std::int64_t>(value));
    }
    JsonWriter& value(std::string_view utf8);
    JsonWriter& text(std::string_view json);    // which is JSON already
    JsonWriter& bytes(std::string_view bytes);  // as bytes_to_json makes it of them
    JsonWriter& bytes(const std::vector<std::string>& list);

    template <class Value>
    JsonWriter& member(std::string_view its_name, const Value& its_value) {
        return name(its_name).value(its_value);
    }

    JsonText take() noexcept { return {std::move(text_)}; }

private:
    JsonWriter& number(std::uint64_t value);
    JsonWriter& number(std::int64_t value);
    void begin_value();

    std::string text_;
    bool needs_comma_ = false;
};

}  // namespace cancelable::ipc
