// The chart: a bar for each row, as long as what it is judged by is of its target, which is one line for all.
// Colours are mid-toned and there is no ground, so that it reads on light and on dark.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/bench/report.h"
#include "tests/bench/wording.h"

namespace cancelable::bench {
namespace {

constexpr double kWidth = 930;
constexpr double kBarLeft = 385;
constexpr double kTargetAt = 580;  // where a bar ends whose row has just met its target
constexpr double kBarMost = 770;
constexpr double kLine = 30;
constexpr double kTop = 40;
constexpr const char* kMet = "#2f9e6e";
constexpr const char* kMissed = "#d9603b";
constexpr const char* kText = "#7d8590";

struct Bar {
    Row row;
    double low = 0;
    double high = 0;
};

double part_of_target(double value, const Row& row) {
    if (row.target > 0) return value / row.target;
    return value > 0 ? 2 : 0;
}

double place(double part) {
    return std::min(kBarLeft + part * (kTargetAt - kBarLeft), kBarMost);
}

// Of all runs, the one whose row is in the middle, with the spread over all.
std::vector<Bar> bars_of(const Report& report) {
    std::vector<Bar> bars;
    for (std::size_t at = 0; at < report.runs.front().size(); ++at) {
        std::vector<Row> rows;
        for (const Run& run : report.runs)
            if (run[at].skipped.empty()) rows.push_back(run[at]);
        if (rows.empty()) continue;
        std::sort(rows.begin(), rows.end(),
                  [](const Row& a, const Row& b) { return a.judged() < b.judged(); });
        Bar bar{.row = rows[(rows.size() - 1) / 2], .low = rows[0].judged(), .high = rows[0].judged()};
        for (const Row& row : rows) {
            const Summary& spread = row.ratio ? *row.ratio : row.ours.value;
            bar.low = std::min({bar.low, row.judged(), spread.low});
            bar.high = std::max({bar.high, row.judged(), spread.high});
        }
        bars.push_back(std::move(bar));
    }
    return bars;
}

std::string escaped(const std::string& text) {
    std::string result;
    for (const char byte : text) {
        if (byte == '&')
            result += "&amp;";
        else if (byte == '<')
            result += "&lt;";
        else if (byte != '`')
            result += byte;
    }
    return result;
}

std::string text_at(double x, double y, const char* anchor, double size, const std::string& text) {
    return fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x,
                       y, anchor, size, escaped(text));
}

std::string bar_at(double y, const Bar& bar) {
    const double end = place(part_of_target(bar.row.judged(), bar.row));
    const double low = place(part_of_target(bar.low, bar.row));
    const double high = place(part_of_target(bar.high, bar.row));
    std::string svg = text_at(kBarLeft - 10, y + 2, "end", 13, bar.row.what);
    const std::string beside = bar.row.peer ? "beside " + bar.row.peer->name : std::string("by itself");
    svg += text_at(kBarLeft - 10, y + 15, "end", 10, beside);
    svg +=
        fmt::format("<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"14\" rx=\"2\" fill=\"{}\"/>\n",
                    kBarLeft, y - 6, std::max(end - kBarLeft, 1.5), bar.row.met() ? kMet : kMissed);
    if (high - low > 1)
        svg += fmt::format(
            "<path d=\"M{0:.1f} {2:.0f}H{1:.1f}M{0:.1f} {3:.0f}v8M{1:.1f} {3:.0f}v8\" "
            "stroke=\"{4}\" stroke-width=\"1.5\" fill=\"none\"/>\n",
            low, high, y + 1, y - 3, kText);
    const std::string value = number_text(bar.row.judged()) + (bar.row.ratio ? " ×" : " " + bar.row.unit);
    svg += text_at(kWidth - 10, y + 5, "end", 12, value + "  (" + target_text(bar.row) + ")");
    return svg;
}

}  // namespace

std::string chart(const Report& report) {
    if (report.runs.empty()) return {};
    const std::vector<Bar> bars = bars_of(report);
    const double height = kTop + kLine * static_cast<double>(bars.size()) + 30;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" font-family=\"system-ui, sans-serif\" fill=\"{2}\" role=\"img\">\n"
        "<title>What cancelable costs, each as a part of its target: shorter is faster</title>\n",
        kWidth, height, kText);
    svg += text_at(kTargetAt, kTop - 20, "middle", 12, "target");
    double y = kTop + 6;
    for (const Bar& bar : bars) {
        svg += bar_at(y, bar);
        y += kLine;
    }
    svg += fmt::format("<path d=\"M{0:.0f} {1:.0f}V{2:.0f}\" stroke=\"{3}\" stroke-dasharray=\"4 3\"/>\n",
                       kTargetAt, kTop - 14, y - 12, kText);
    svg += text_at(10, height - 8, "start", 10,
                   fmt::format("Medians; whiskers: quartiles of the rounds; runs: {}. {}", report.runs.size(),
                               machine_text(report.machine)));
    return svg + "</svg>\n";
}

}  // namespace cancelable::bench
