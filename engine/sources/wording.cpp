#include "engine/sources/wording.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

namespace cancelable {

std::string spoken(std::chrono::milliseconds duration) {
    const auto ms = duration.count();
    if (ms < 1000) return fmt::format("{} ms", ms);
    return spoken_number(static_cast<double>(ms) / 1000) + " s";
}

std::string spoken_size(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 7> kUnits{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // What would be rounded up to 1024 is one of the next unit.
    while (value >= 1023.95 && unit + 1 < kUnits.size()) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", spoken_number(value), kUnits[unit]);
}

std::string spoken_number(double number) {
    const std::string text = fmt::format("{:.1f}", number);
    return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

}  // namespace cancelable
