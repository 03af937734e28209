#include "ipc/json_value.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "ipc/byte_text.h"

namespace cancelable::ipc {
namespace {

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

// The value of four hexadecimal digits.
std::optional<unsigned> code_unit(std::string_view digits) noexcept {
    unsigned value = 0;
    const auto* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
    if (digits.size() != 4 || error != std::errc() || stop != end) return std::nullopt;
    return value;
}

bool is_high_surrogate(unsigned unit) noexcept {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

bool is_low_surrogate(unsigned unit) noexcept {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

void append_utf8(std::string& text, unsigned character) {
    const auto tail = [&](unsigned shift) {
        text += static_cast<char>(0x80U | (character >> shift & 0x3FU));
    };
    if (character < 0x80) {
        text += static_cast<char>(character);
    } else if (character < 0x800) {
        text += static_cast<char>(0xC0U | character >> 6);
        tail(0);
    } else if (character < 0x10000) {
        text += static_cast<char>(0xE0U | character >> 12);
        tail(6);
        tail(0);
    } else {
        text += static_cast<char>(0xF0U | character >> 18);
        tail(12);
        tail(6);
        tail(0);
    }
}

// Of what has been checked.
std::string without_escapes(std::string_view written) {
    std::string text;
    text.reserve(written.size());
    for (std::size_t i = 0; i < written.size(); ++i) {
        if (written[i] != '\\') {
            text += written[i];
            continue;
        }
        switch (const char c = written[++i]) {
            case 'b':
                text += '\b';
                break;
            case 'f':
                text += '\f';
                break;
            case 'n':
                text += '\n';
                break;
            case 'r':
                text += '\r';
                break;
            case 't':
                text += '\t';
                break;
            case 'u': {
                unsigned character = *code_unit(written.substr(i + 1, 4));
                i += 4;
                if (is_high_surrogate(character)) {
                    character = 0x10000 + (character - 0xD800) * 0x400 +
                                (*code_unit(written.substr(i + 3, 4)) - 0xDC00);
                    i += 6;
                }
                append_utf8(text, character);
                break;
            }
            default:
                text += c;
        }
    }
    return text;
}

template <class Number>
std::optional<Number> whole(std::string_view text) noexcept {
    Number value{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

// Goes over the text once, and notes down each value where it begins.
class JsonReader {
public:
    JsonReader(JsonValue::Content& content, std::size_t max_depth) noexcept
        : content_(content), text_(content.text), max_depth_(max_depth) {}

    bool read() {
        if (text_.size() >= std::numeric_limits<std::uint32_t>::max() || !is_utf8(text_)) return false;
        skip_space();
        if (!value(0)) return false;
        skip_space();
        return at_ == text_.size();
    }

private:
    using Kind = JsonValue::Kind;

    char peek() const noexcept { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool skip(char c) noexcept {
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    void skip_space() noexcept {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
            ++at_;
    }

    std::size_t begin(Kind kind) {
        content_.nodes.push_back({.begin = static_cast<std::uint32_t>(at_), .kind = kind});
        return content_.nodes.size() - 1;
    }
    bool end(std::size_t node) noexcept {
        content_.nodes[node].end = static_cast<std::uint32_t>(at_);
        content_.nodes[node].next = static_cast<std::uint32_t>(content_.nodes.size());
        return true;
    }

    bool value(std::size_t depth) {
        switch (peek()) {
            case '{':
                return depth < max_depth_ && list(Kind::object, '}', depth + 1);
            case '[':
                return depth < max_depth_ && list(Kind::array, ']', depth + 1);
            case '"':
                return string();
            case 't':
                return word("true", Kind::boolean);
            case 'f':
                return word("false", Kind::boolean);
            case 'n':
                return word("null", Kind::null);
            default:
                return number();
        }
    }

    bool list(Kind kind, char close, std::size_t depth) {
        const std::size_t node = begin(kind);
        ++at_;
        skip_space();
        if (skip(close)) return end(node);
        for (;;) {
            if (kind == Kind::object) {
                if (!string()) return false;
                skip_space();
                if (!skip(':')) return false;
                skip_space();
            }
            if (!value(depth)) return false;
            skip_space();
            if (skip(close)) return end(node);
            if (!skip(',')) return false;
            skip_space();
        }
    }

    bool word(std::string_view word, Kind kind) {
        const std::size_t node = begin(kind);
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return end(node);
    }

    bool string() {
        const std::size_t node = begin(Kind::string);
        if (!skip('"')) return false;
        for (;;) {
            const char c = peek();
            if (static_cast<unsigned char>(c) < 0x20) return false;  // the end of the text as well
            ++at_;
            if (c == '"') return end(node);
            if (c != '\\') continue;
            content_.nodes[node].has_escapes = true;
            if (!escape()) return false;
        }
    }

    bool escape() noexcept {
        const char c = peek();
        ++at_;
        if (c != 'u') return c != '\0' && std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
        const auto first = unit();
        if (!first || is_low_surrogate(*first)) return false;
        if (!is_high_surrogate(*first)) return true;
        if (!skip('\\') || !skip('u')) return false;
        const auto second = unit();
        return second && is_low_surrogate(*second);
    }

    std::optional<unsigned> unit() noexcept {
        const auto unit = code_unit(text_.substr(at_ < text_.size() ? at_ : text_.size(), 4));
        at_ += 4;
        return unit;
    }

    bool number() {
        const std::size_t node = begin(Kind::number);
        skip('-');
        if (!skip('0') && !digits()) return false;
        if (skip('.') && !digits()) return false;
        if (skip('e') || skip('E')) {
            if (!skip('+')) skip('-');
            if (!digits()) return false;
        }
        return end(node);
    }

    bool digits() noexcept {
        const std::size_t first = at_;
        while (is_digit(peek()))
            ++at_;
        return at_ > first;
    }

    JsonValue::Content& content_;
    std::string_view text_;
    std::size_t max_depth_;
    std::size_t at_ = 0;
};

std::optional<bool> JsonValue::boolean() const noexcept {
    if (kind() != Kind::boolean) return std::nullopt;
    return text().front() == 't';
}

// One that is too small is 0; one that is too large is none.
std::optional<double> JsonValue::number() const noexcept {
    if (kind() != Kind::number) return std::nullopt;
    const std::string_view written = text();
    double value = 0;
    const auto [stop, error] = std::from_chars(written.data(), written.data() + written.size(), value);
    if (error != std::errc::result_out_of_range) return value;
    // It leaves the value alone, and does not say which it was.
    value = std::strtod(std::string(written).c_str(), nullptr);
    if (!std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> JsonValue::unsigned_integer() const noexcept {
    return kind() == Kind::number ? whole<std::uint64_t>(text()) : std::nullopt;
}

std::optional<std::int64_t> JsonValue::integer() const noexcept {
    return kind() == Kind::number ? whole<std::int64_t>(text()) : std::nullopt;
}

std::optional<std::string> JsonValue::string() const {
    if (kind() != Kind::string) return std::nullopt;
    const std::string_view written = text().substr(1, text().size() - 2);
    return node().has_escapes ? without_escapes(written) : std::string(written);
}

bool JsonValue::operator==(std::string_view other) const {
    if (kind() != Kind::string) return false;
    if (node().has_escapes) return *string() == other;
    return text().substr(1, text().size() - 2) == other;
}

std::vector<JsonValue> JsonValue::elements() const {
    std::vector<JsonValue> found;
    if (kind() != Kind::array) return found;
    found.reserve(size());
    for (std::uint32_t at = node_ + 1; at < node().next; at = content_->nodes[at].next)
        found.push_back({*content_, at});
    return found;
}

std::size_t JsonValue::size() const noexcept {
    if (kind() != Kind::array && kind() != Kind::object) return 0;
    std::size_t count = 0;
    for (std::uint32_t at = node_ + 1; at < node().next; at = content_->nodes[at].next)
        ++count;
    return kind() == Kind::object ? count / 2 : count;
}

// A name has nothing within it, so its value is the next node.
template <class Visit>
void JsonValue::for_each_member(Visit visit) const {
    if (kind() != Kind::object) return;
    for (std::uint32_t at = node_ + 1; at < node().next;) {
        const JsonValue value(*content_, at + 1);
        visit(JsonValue(*content_, at), value);
        at = value.node().next;
    }
}

std::vector<std::pair<JsonValue, JsonValue>> JsonValue::members() const {
    std::vector<std::pair<JsonValue, JsonValue>> found;
    found.reserve(size());
    for_each_member([&](JsonValue name, JsonValue value) { found.emplace_back(name, value); });
    return found;
}

std::optional<JsonValue> JsonValue::find(std::string_view name) const {
    std::optional<JsonValue> found;
    for_each_member([&](JsonValue its_name, JsonValue value) {
        if (its_name == name) found = value;
    });
    return found;
}

nlohmann::json to_json(JsonValue value) {
    switch (value.kind()) {
        case JsonValue::Kind::null:
            break;
        case JsonValue::Kind::boolean:
            return *value.boolean();
        case JsonValue::Kind::number:
            if (const auto whole = value.unsigned_integer()) return *whole;
            if (const auto whole = value.integer()) return *whole;
            if (const auto number = value.number()) return *number;
            break;
        case JsonValue::Kind::string:
            return *value.string();
        case JsonValue::Kind::array: {
            nlohmann::json array = nlohmann::json::array();
            for (const JsonValue element : value.elements())
                array.push_back(to_json(element));
            return array;
        }
        case JsonValue::Kind::object: {
            nlohmann::json object = nlohmann::json::object();
            for (const auto& [name, member] : value.members())
                object[*name.string()] = to_json(member);
            return object;
        }
    }
    return nullptr;
}

std::optional<JsonDocument> JsonDocument::parse(std::string text, std::size_t max_depth) {
    auto content = std::make_unique<JsonValue::Content>();
    content->text = std::move(text);
    content->nodes.reserve(content->text.size() / 8 + 1);
    if (!JsonReader(*content, max_depth).read()) return std::nullopt;
    return JsonDocument(std::move(content));
}

}  // namespace cancelable::ipc
