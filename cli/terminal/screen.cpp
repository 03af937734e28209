#include "cli/terminal/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace cancelable::cli {
namespace {

std::optional<std::size_t> number_from_environment(const char* variable) noexcept {
    const char* value = std::getenv(variable);
    if (value == nullptr) return std::nullopt;
    const std::string_view text(value);
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
    return number;
}

}  // namespace

bool locale_is_utf8() noexcept {
    for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const char* value = std::getenv(variable);
        if (value == nullptr || *value == '\0') continue;
        return ::strcasestr(value, "UTF-8") != nullptr || ::strcasestr(value, "UTF8") != nullptr;
    }
    return false;
}

bool is_terminal(int fd) noexcept {
    return ::isatty(fd) == 1;
}

std::optional<std::size_t> screen_width(int fd) noexcept {
    if (!is_terminal(fd)) return std::nullopt;
    if (const auto said = number_from_environment("COLUMNS")) return said;
    winsize size{};
    // A terminal without a size, as some serial lines are, tells zero.
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

std::optional<std::size_t> screen_height(int fd) noexcept {
    if (!is_terminal(fd)) return std::nullopt;
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 24;
    return size.ws_row;
}

}  // namespace cancelable::cli
