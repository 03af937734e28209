#include "ipc/json_text.h"

#include <algorithm>
#include <array>

namespace cancelable::ipc {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::size_t skip_space(std::string_view text, std::size_t at) {
    return std::min(text.find_first_not_of(kSpace, at), text.size());
}

// Tells quickly whether a byte is one of a few.
class Bytes {
public:
    consteval explicit Bytes(std::string_view bytes) {
        for (const char byte : bytes)
            is_in_[static_cast<unsigned char>(byte)] = true;
    }
    // The next of them from `at` on, or the end.
    std::size_t find_in(std::string_view text, std::size_t at) const {
        while (at < text.size() && !is_in_[static_cast<unsigned char>(text[at])])
            ++at;
        return at;
    }

private:
    std::array<bool, 256> is_in_{};
};

constexpr Bytes kOfStrings("\"\\");
constexpr Bytes kOfNesting("\"{}[]");
constexpr Bytes kEndsOfWords(",}] \t\r\n");

// From the quote to behind the closing one.
std::size_t skip_string(std::string_view text, std::size_t at) {
    for (at = kOfStrings.find_in(text, at + 1); at < text.size(); at = kOfStrings.find_in(text, at)) {
        if (text[at] == '"') return at + 1;
        at += 2;  // whatever is escaped
    }
    return text.size();
}

std::size_t skip_value(std::string_view text, std::size_t at) {
    std::size_t depth = 0;
    while (at < text.size()) {
        const char c = text[at];
        if (c == '"') {
            at = skip_string(text, at);
        } else if (c == '{' || c == '[') {
            ++depth;
            ++at;
        } else if (c == '}' || c == ']') {
            --depth;
            ++at;
        } else if (depth > 0) {
            at = kOfNesting.find_in(text, at);
            continue;
        } else {
            return kEndsOfWords.find_in(text, at);  // a number or a word
        }
        if (depth == 0) return at;
    }
    return at;
}

bool is_at(std::string_view text, std::size_t at, char wanted) {
    return at < text.size() && text[at] == wanted;
}

}  // namespace

std::optional<std::string_view> member_text(std::string_view object, std::string_view name) {
    std::size_t at = skip_space(object, 0);
    if (!is_at(object, at, '{')) return std::nullopt;
    do {
        const std::size_t key = skip_space(object, at + 1);
        if (!is_at(object, key, '"')) return std::nullopt;
        const std::size_t key_end = skip_string(object, key);
        const std::size_t colon = skip_space(object, key_end);
        if (!is_at(object, colon, ':')) return std::nullopt;
        const std::size_t value = skip_space(object, colon + 1);
        const std::size_t value_end = skip_value(object, value);
        if (object.substr(key + 1, key_end - key - 2) == name) return object.substr(value, value_end - value);
        at = skip_space(object, value_end);
    } while (is_at(object, at, ','));
    return std::nullopt;
}

std::optional<std::vector<std::string_view>> element_texts(std::string_view array) {
    std::vector<std::string_view> elements;
    std::size_t at = skip_space(array, 0);
    if (!is_at(array, at, '[')) return std::nullopt;
    if (is_at(array, skip_space(array, at + 1), ']')) return elements;
    do {
        const std::size_t value = skip_space(array, at + 1);
        const std::size_t value_end = skip_value(array, value);
        if (value_end == value) return std::nullopt;
        elements.push_back(array.substr(value, value_end - value));
        at = skip_space(array, value_end);
    } while (is_at(array, at, ','));
    if (!is_at(array, at, ']')) return std::nullopt;
    return elements;
}

}  // namespace cancelable::ipc
