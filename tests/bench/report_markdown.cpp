#include <fmt/format.h>

#include <stdexcept>

#include "tests/bench/report.h"
#include "tests/bench/wording.h"

namespace cancelable::bench {

std::string markdown(const Report& report) {
    if (report.runs.empty()) return {};
    std::string text = machine_text(report.machine) + ".\n\n";
    text += "| | ours | beside | floor | at most |";
    for (std::size_t run = 1; run <= report.runs.size(); ++run)
        text += fmt::format(" run {} |", run);
    text += "\n|---|---|---|---|---|";
    for (std::size_t run = 0; run < report.runs.size(); ++run)
        text += "---|";
    text += '\n';
    const Run& last = report.runs.back();
    for (std::size_t place = 0; place < last.size(); ++place) {
        const Row& row = last[place];
        const auto cell = [&](const std::optional<Figure>& figure) {
            return figure
                       ? fmt::format("{} {} ({})", number_text(figure->value.median), row.unit, figure->name)
                       : std::string();
        };
        const std::string ours =
            row.skipped.empty() ? number_text(row.ours.value.median) + " " + row.unit : std::string();
        text += fmt::format("| {} | {} | {} | {} | {} |", row.what, ours, cell(row.peer), cell(row.floor),
                            target_text(row));
        for (const Run& run : report.runs)
            text += fmt::format(" {} {} |", run[place].skipped.empty() ? judged_text(run[place]) : "",
                                verdict(run[place]));
        text += '\n';
    }
    std::string others;
    for (const Row& row : last)
        for (const Figure& other : row.others)
            others += fmt::format("- {}: {} {} {}\n", row.what, other.name, number_text(other.value.median),
                                  row.unit);
    if (!others.empty()) text += "\nTo be seen beside them, in the last run:\n\n" + others;
    return text;
}

std::string with_section(const std::string& page, const std::string& name, const std::string& content) {
    const std::string begin = "<!-- bench: " + name + " -->\n";
    const std::string end = "<!-- bench: end -->";
    const auto from = page.find(begin);
    const auto to = from == std::string::npos ? from : page.find(end, from);
    if (to == std::string::npos) throw std::runtime_error("the page has no place for the " + name);
    return page.substr(0, from + begin.size()) + content + page.substr(to);
}

}  // namespace cancelable::bench
