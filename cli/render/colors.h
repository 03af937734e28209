#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cancelable::cli {

enum class ColorChoice : std::uint8_t { automatic, always, never };

std::string_view to_string(ColorChoice choice) noexcept;
std::optional<ColorChoice> parse_color_choice(std::string_view text) noexcept;

enum class Style : std::uint8_t { plain, bold, dim, red, green, yellow, blue, cyan };

// Paints text for one output, or leaves it as it is.
class Palette {
public:
    explicit Palette(bool enabled) noexcept : enabled_(enabled) {}

    // `automatic`: on a terminal that is not dumb, and where NO_COLOR is unset or empty.
    static Palette for_output(int fd, ColorChoice choice) noexcept;

    std::string paint(Style style, std::string_view text) const;

private:
    bool enabled_;
};

}  // namespace cancelable::cli
