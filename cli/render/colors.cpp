#include "cli/render/colors.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

namespace cancelable::cli {
namespace {

constexpr std::array<std::string_view, 3> kChoices{"auto", "always", "never"};
constexpr std::array<std::string_view, 8> kCodes{"", "1", "2", "31", "32", "33", "34", "36"};

bool is_said(const char* variable) noexcept {
    const char* value = std::getenv(variable);
    return value != nullptr && value[0] != '\0';
}

bool terminal_is_dumb() noexcept {
    const char* terminal = std::getenv("TERM");
    return terminal == nullptr || std::string_view(terminal) == "dumb";
}

}  // namespace

std::string_view to_string(ColorChoice choice) noexcept {
    return kChoices[static_cast<std::size_t>(choice)];
}

std::optional<ColorChoice> parse_color_choice(std::string_view text) noexcept {
    for (std::size_t i = 0; i < kChoices.size(); ++i)
        if (kChoices[i] == text) return static_cast<ColorChoice>(i);
    return std::nullopt;
}

Palette Palette::for_output(int fd, ColorChoice choice) noexcept {
    if (choice == ColorChoice::automatic)
        return Palette(!is_said("NO_COLOR") && !terminal_is_dumb() && ::isatty(fd) == 1);
    return Palette(choice == ColorChoice::always);
}

std::string Palette::paint(Style style, std::string_view text) const {
    if (!enabled_ || style == Style::plain || text.empty()) return std::string(text);
    std::string out = "\x1b[";
    out += kCodes[static_cast<std::size_t>(style)];
    out += 'm';
    out += text;
    out += "\x1b[0m";
    return out;
}

}  // namespace cancelable::cli
