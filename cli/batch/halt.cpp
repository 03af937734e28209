#include "cli/batch/halt.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "cli/render/text.h"

namespace cancelable::cli {
namespace {

constexpr std::array<std::string_view, 3> kWhen{"never", "soon", "now"};
constexpr std::array<std::string_view, 3> kWhat{"fail", "success", "done"};

// Fewer say nothing about a share.
constexpr std::size_t kFewestForShare = 3;

template <class Enum>
std::optional<Enum> parse_word(std::string_view text, const std::array<std::string_view, 3>& words) {
    for (std::size_t i = 0; i < words.size(); ++i)
        if (text == words[i]) return static_cast<Enum>(i);
    return std::nullopt;
}

std::unexpected<Error> wrong(std::string_view text) {
    return failure(ErrorCode::usage, in_quotes(text) +
                                         " is not understood: write never, or soon or now, and what for, as "
                                         "now,fail=1 or soon,fail=10%");
}

}  // namespace

bool Halt::is_reached(const Tally& tally) const noexcept {
    if (when == When::never) return false;
    const std::size_t count = what == What::fail      ? tally.failed
                              : what == What::success ? tally.completed
                                                      : tally.ended();
    if (!is_percentage) return count >= number;
    return count >= kFewestForShare && count * 100 >= number * tally.ended();
}

Result<Halt> parse_halt(std::string_view text) {
    Halt halt;
    const auto comma = text.find(',');
    const auto when = parse_word<Halt::When>(text.substr(0, comma), kWhen);
    if (!when) return wrong(text);
    halt.when = *when;
    if (*when == Halt::When::never) return comma == text.npos ? Result<Halt>(halt) : wrong(text);
    if (comma == text.npos) return wrong(text);
    std::string_view condition = text.substr(comma + 1);
    const auto equals = condition.find('=');
    const auto what = parse_word<Halt::What>(condition.substr(0, equals), kWhat);
    if (!what || equals == condition.npos) return wrong(text);
    halt.what = *what;
    condition.remove_prefix(equals + 1);
    if (condition.ends_with('%')) {
        halt.is_percentage = true;
        condition.remove_suffix(1);
    }
    const char* end = condition.data() + condition.size();
    const auto [stopped, error] = std::from_chars(condition.data(), end, halt.number);
    if (error != std::errc{} || stopped != end || halt.number == 0) return wrong(text);
    if (halt.is_percentage && (halt.number > 100 || halt.what == Halt::What::done)) return wrong(text);
    return halt;
}

std::string to_text(const Halt& halt) {
    const std::string_view when = kWhen[static_cast<std::size_t>(halt.when)];
    if (halt.when == Halt::When::never) return std::string(when);
    return fmt::format("{},{}={}{}", when, kWhat[static_cast<std::size_t>(halt.what)], halt.number,
                       halt.is_percentage ? "%" : "");
}

}  // namespace cancelable::cli
