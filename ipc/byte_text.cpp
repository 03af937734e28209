#include "ipc/byte_text.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace cancelable::ipc {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 64;
constexpr std::string_view kShape = R"(must be a string or {"base64": "…"})";

constexpr std::array<std::uint8_t, 256> kDigits = [] {
    std::array<std::uint8_t, 256> digits{};
    digits.fill(kNoDigit);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        digits[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    return digits;
}();

struct Utf8Step {
    std::size_t length = 1;  // of the character, or of the part that a replacement stands for
    bool valid = false;
};

// Looks at the character at the start of `rest`, which is not empty. Overlong forms, surrogates and what is
// beyond U+10FFFF are excluded by the bounds of the second byte (Unicode, table 3-7).
Utf8Step step(std::string_view rest) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(rest[i]); };
    const std::uint8_t first = byte(0);
    if (first < 0x80) return {1, true};
    std::size_t length = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        length = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        length = 3;
        if (first == 0xE0) low = 0xA0;
        if (first == 0xED) high = 0x9F;
    } else if (first >= 0xF0 && first <= 0xF4) {
        length = 4;
        if (first == 0xF0) low = 0x90;
        if (first == 0xF4) high = 0x8F;
    } else {
        return {1, false};
    }
    for (std::size_t i = 1; i < length; ++i) {
        if (i >= rest.size() || byte(i) < low || byte(i) > high) return {i, false};
        low = 0x80;
        high = 0xBF;
    }
    return {length, true};
}

// Most text is ASCII: eight bytes of it at once.
bool is_ascii_word(std::string_view bytes) noexcept {
    std::uint64_t word = 0;
    if (bytes.size() < sizeof word) return false;
    std::memcpy(&word, bytes.data(), sizeof word);
    return (word & 0x8080'8080'8080'8080U) == 0;
}

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        if (is_ascii_word(bytes)) {
            bytes.remove_prefix(sizeof(std::uint64_t));
            continue;
        }
        const Utf8Step next = step(bytes);
        if (!next.valid) return false;
        bytes.remove_prefix(next.length);
    }
    return true;
}

std::string to_utf8(std::string bytes) {
    if (is_utf8(bytes)) return bytes;
    std::string text;
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const Utf8Step next = step(rest);
        text += next.valid ? rest.substr(0, next.length) : "\xEF\xBF\xBD";
        rest.remove_prefix(next.length);
    }
    return text;
}

nlohmann::json bytes_to_json(std::string_view bytes) {
    if (is_utf8(bytes)) return std::string(bytes);
    return {{"base64", encode_base64(bytes)}};
}

Result<std::string> any_bytes_from_json(JsonValue json) {
    if (auto string = json.string()) return std::move(*string);
    if (const auto members = json.members(); members.size() == 1 && members.front().first == "base64")
        if (const auto encoded = members.front().second.string()) return decode_base64(*encoded);
    return failure(ErrorCode::usage, std::string(kShape));
}

Result<std::string> bytes_from_json(JsonValue json) {
    auto bytes = any_bytes_from_json(json);
    if (bytes && bytes->find('\0') != std::string::npos)
        return failure(ErrorCode::usage, "holds a zero byte");
    return bytes;
}

std::string encode_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < count ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            text += j <= count ? kAlphabet[group >> (18 - 6 * j) & 63] : '=';
    }
    return text;
}

Result<std::string> decode_base64(std::string_view text) {
    const auto invalid = [] { return failure(ErrorCode::usage, "is not base64"); };
    if (text.size() % 4 != 0) return invalid();
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        const std::size_t missing = i + 4 == text.size() ? padding : 0;
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 4; ++j) {
            const std::uint8_t digit = j < 4 - missing ? kDigits[static_cast<std::uint8_t>(text[i + j])] : 0;
            if (digit == kNoDigit) return invalid();
            group = group << 6 | digit;
        }
        for (std::size_t j = 0; j < 3 - missing; ++j)
            bytes += static_cast<char>(group >> (16 - 8 * j) & 0xFF);
    }
    return bytes;
}

}  // namespace cancelable::ipc
