#include "cli/batch/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render/text.h"
#include "engine/quantity.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kBarColumns = 20;
constexpr std::size_t kColumnsForBar = 60;

std::string rate_text(double rate) {
    if (rate >= 10) return fmt::format("{:.0f}/s", rate);
    if (rate >= 0.1) return fmt::format("{:.1f}/s", rate);
    return fmt::format("{:.1f}/min", rate * 60);
}

void add_count(std::string& text, std::size_t count, std::string_view what) {
    if (count != 0) text += fmt::format("  {} {}", count, what);
}

}  // namespace

std::string batch_line(const BatchProgress& progress, std::size_t columns) {
    const std::size_t ended = progress.tally.ended();
    std::string line = std::to_string(ended);
    if (progress.total) {
        const std::size_t total = std::max(*progress.total, ended);
        const double share = total == 0 ? 1 : static_cast<double>(ended) / static_cast<double>(total);
        line += fmt::format("/{}{}", progress.total_is_estimate ? "~" : "", total);
        if (columns >= kColumnsForBar) {
            const auto done = static_cast<std::size_t>(share * kBarColumns + 1e-9);
            line += fmt::format(" [{}{}]", std::string(done, '#'), std::string(kBarColumns - done, '.'));
        }
        line += fmt::format(" {}%", static_cast<int>(share * 100 + 1e-9));
    } else {
        line += " done";
    }
    if (progress.rate > 0) line += "  " + rate_text(progress.rate);
    if (progress.remaining && ended > 0)
        line += fmt::format("  {} left", format_duration(*progress.remaining));
    add_count(line, progress.running, "running");
    add_count(line, progress.tally.failed, "failed");
    add_count(line, progress.tally.cancelled, "cancelled");
    return cut_to_width(line, columns);
}

std::string batch_summary(const Tally& tally, std::chrono::microseconds duration) {
    const std::size_t ended = tally.ended();
    std::string text =
        fmt::format("{} operation{}: {} completed", ended, ended == 1 ? "" : "s", tally.completed);
    if (tally.failed != 0) text += fmt::format(", {} failed", tally.failed);
    if (tally.cancelled != 0) text += fmt::format(", {} cancelled", tally.cancelled);
    text += fmt::format(", in {}", format_duration(duration));
    const double seconds = std::chrono::duration<double>(duration).count();
    if (ended > 1 && seconds > 0)
        text += fmt::format(" ({})", rate_text(static_cast<double>(ended) / seconds));
    return text;
}

}  // namespace cancelable::cli
