#include <fmt/format.h>

#include <iterator>

#include "tests/bench/report.h"
#include "tests/bench/wording.h"

namespace cancelable::bench {
namespace {

std::string with_unit(const Figure& figure, const Row& row) {
    return fmt::format("{} {} {}", figure.name, number_text(figure.value.median), row.unit);
}

}  // namespace

std::string table(const Run& run) {
    std::string text = fmt::format("{:<15} {:>12} {:>12} {:>12}    {:<24} {:<10}\n", "", "ours", "beside",
                                   "floor", "ratio or value, quartiles", "at most");
    for (const Row& row : run) {
        const auto cell = [&](const std::optional<Figure>& figure) {
            return figure ? number_text(figure->value.median) + " " + row.unit : std::string();
        };
        if (!row.skipped.empty()) {
            text += fmt::format("{:<15} {:>38}    {:<24} {:<10} skipped: {}\n", row.id, "", "",
                                target_text(row), row.skipped);
            continue;
        }
        text +=
            fmt::format("{:<15} {:>12} {:>12} {:>12}    {:<24} {:<10} {}\n", row.id, cell(row.ours),
                        cell(row.peer), cell(row.floor), judged_text(row), target_text(row), verdict(row));
        std::string beside = row.what;
        if (row.peer) beside += ", beside " + row.peer->name;
        if (row.floor) beside += "; floor: " + row.floor->name;
        text += "                " + beside + '\n';
        for (const Figure& other : row.others)
            text += "                also: " + with_unit(other, row) + '\n';
    }
    return text;
}

}  // namespace cancelable::bench
