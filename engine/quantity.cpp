#include "engine/quantity.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

namespace cancelable {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    double factor;
};

// In milliseconds; a bare number is seconds.
constexpr std::array kDurationUnits{Unit{"", 1e3},  Unit{"ms", 1},    Unit{"s", 1e3},
                                    Unit{"m", 6e4}, Unit{"h", 3.6e6}, Unit{"d", 8.64e7}};

constexpr double kKi = 1024.0;
constexpr std::array kSizeUnits{Unit{"", 1},
                                Unit{"b", 1},
                                Unit{"k", kKi},
                                Unit{"m", kKi* kKi},
                                Unit{"g", kKi* kKi* kKi},
                                Unit{"t", kKi* kKi* kKi* kKi}};

constexpr milliseconds kLongest = std::chrono::hours(24 * 365 * 100);

// The digits and the rest. Exponents, hexadecimal, "inf" and "nan", which from_chars would take, are no
// quantities.
struct Split {
    double number;
    std::string_view unit;
};

std::optional<Split> split(std::string_view text) noexcept {
    std::size_t digits = 0;
    while (digits < text.size() &&
           (std::isdigit(static_cast<unsigned char>(text[digits])) != 0 || text[digits] == '.'))
        ++digits;
    double number = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + digits, number, std::chars_format::fixed);
    if (error == std::errc::result_out_of_range)
        number = HUGE_VAL;
    else if (error != std::errc{} || end != text.data() + digits)
        return std::nullopt;
    return Split{number, text.substr(digits)};
}

// Rounded up, but for what is only the noise of binary fractions: 1.1s is 1100 ms, though 1.1 * 1000 is a
// hair more.
double whole(double value) noexcept {
    const double up = std::ceil(value * (1 - 4e-16));
    return value > 0 && up < 1 ? 1 : up;
}

std::string shown(std::string_view text) {
    // What was typed is repeated in the sentence, but not its control characters, and not a novel.
    std::string out = "\"";
    for (const char c : text.substr(0, 40))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (text.size() > 40 ? "…\"" : "\"");
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
    const auto parts = split(text);
    if (parts) {
        for (const Unit& unit : kDurationUnits) {
            if (parts->unit != unit.name) continue;
            const double count = whole(parts->number * unit.factor);
            if (count > static_cast<double>(kLongest.count()))
                return failure(ErrorCode::usage,
                               shown(text) + " is too long: a duration is at most 100 years");
            return milliseconds(static_cast<milliseconds::rep>(count));
        }
    }
    return failure(ErrorCode::usage,
                   shown(text) + " is no duration: write a number and ms, s, m, h or d, as in 250ms or 1.5m");
}

std::string format_duration(microseconds duration) {
    const auto total_us = duration.count();
    if (total_us > 0 && total_us < 10'000)
        return fmt::format("{}.{}ms", total_us / 1000, total_us % 1000 / 100);
    const auto total_ms = total_us / 1000;
    if (total_ms < 1000) return fmt::format("{}ms", total_ms);
    if (total_ms < 10'000) return fmt::format("{}.{}s", total_ms / 1000, total_ms % 1000 / 100);
    const auto seconds = total_ms / 1000;
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
    return fmt::format("{}d{:02}h", seconds / 86'400, seconds % 86'400 / 3600);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto parts = split(text);
    if (parts) {
        std::string unit = lower(parts->unit);
        // "kb" and "kib" are "k"; a lone "b" stays.
        if (unit.size() == 3 && unit.ends_with("ib")) unit.resize(1);
        if (unit.size() == 2 && unit[0] != 'b' && unit[1] == 'b') unit.resize(1);
        for (const Unit& known : kSizeUnits) {
            if (unit != known.name) continue;
            const double bytes = whole(parts->number * known.factor);
            if (bytes >= 0x1p63)
                return failure(ErrorCode::usage, shown(text) + " is too much: a size is less than 8 EiB");
            return static_cast<std::uint64_t>(bytes);
        }
    }
    return failure(ErrorCode::usage,
                   shown(text) + " is no size: write a number and K, M, G or T, as in 512M or 2GiB");
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 7> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return fmt::format("{}B", bytes);
    // In whole numbers, cut off and not rounded: 1023.99 MiB must not turn up as 1024.
    std::size_t unit = 0;
    std::uint64_t remainder = 0;
    while (bytes >= 1024 && unit + 1 < kUnits.size()) {
        remainder = bytes % 1024;
        bytes /= 1024;
        ++unit;
    }
    if (bytes < 10) return fmt::format("{}.{}{}", bytes, remainder * 10 / 1024, kUnits[unit]);
    return fmt::format("{}{}", bytes, kUnits[unit]);
}

}  // namespace cancelable
