#include "ipc/json_writer.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "ipc/byte_text.h"

namespace cancelable::ipc {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

void append_escaped(std::string& text, std::string_view utf8) {
    for (const char c : utf8) {
        switch (c) {
            case '"':
                text += "\\\"";
                break;
            case '\\':
                text += "\\\\";
                break;
            case '\n':
                text += "\\n";
                break;
            case '\t':
                text += "\\t";
                break;
            default:
                if (static_cast<unsigned char>(c) >= 0x20) {
                    text += c;
                } else {
                    text += "\\u00";
                    text += kHexDigits[static_cast<unsigned char>(c) >> 4];
                    text += kHexDigits[static_cast<unsigned char>(c) & 15];
                }
        }
    }
}

template <class Number>
void append_number(std::string& text, Number value) {
    char digits[32];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace

void JsonWriter::begin_value() {
    if (needs_comma_) text_ += ',';
    needs_comma_ = true;
}

JsonWriter& JsonWriter::begin_object() {
    begin_value();
    text_ += '{';
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_object() {
    text_ += '}';
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::begin_array() {
    begin_value();
    text_ += '[';
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_array() {
    text_ += ']';
    needs_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::name(std::string_view name) {
    begin_value();
    text_.append(1, '"').append(name).append("\":");
    needs_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::value(double value) {
    begin_value();
    append_number(text_, value);
    return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) {
    begin_value();
    append_number(text_, value);
    return *this;
}

JsonWriter& JsonWriter::number(std::int64_t value) {
    begin_value();
    append_number(text_, value);
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view utf8) {
    begin_value();
    text_ += '"';
    append_escaped(text_, utf8);
    text_ += '"';
    return *this;
}

JsonWriter& JsonWriter::text(std::string_view json) {
    begin_value();
    text_.append(json);
    return *this;
}

JsonWriter& JsonWriter::bytes(std::string_view bytes) {
    if (is_utf8(bytes)) return value(bytes);
    return begin_object().name("base64").value(std::string_view(encode_base64(bytes))).end_object();
}

JsonWriter& JsonWriter::bytes(const std::vector<std::string>& list) {
    begin_array();
    for (const std::string& element : list)
        bytes(element);
    return end_array();
}

JsonText to_text(const nlohmann::json& value) {
    return {value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

}  // namespace cancelable::ipc
