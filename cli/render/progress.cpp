#include "cli/render/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/text.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kBarColumns = 20;
constexpr std::size_t kColumnsForBar = 60;

// Binary fractions: 0.29 times 100 is a little less than 29.
int whole_part(double fraction, int of) {
    return static_cast<int>(fraction * of + 1e-9);
}

}  // namespace

std::string progress_text(const Progress& progress) {
    return fmt::format("{}%{}{}", whole_part(progress.fraction, 100), progress.text.empty() ? "" : " ",
                       printable(progress.text));
}

std::string progress_line(const std::string& name, const Progress& progress, std::size_t columns) {
    std::string bar;
    if (columns >= kColumnsForBar) {
        const auto done = static_cast<std::size_t>(whole_part(progress.fraction, kBarColumns));
        bar = fmt::format("[{}{}] ", std::string(done, '#'), std::string(kBarColumns - done, '.'));
    }
    const std::string start = cut_to_width(printable(name), std::max<std::size_t>(columns / 3, 1));
    return cut_to_width(fmt::format("{} {}{}", start, bar, progress_text(progress)), columns);
}

}  // namespace cancelable::cli
