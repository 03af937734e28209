#include "tests/bench/wording.h"

#include <fmt/format.h>

#include <cmath>

namespace cancelable::bench {

std::string number_text(double value) {
    const double size = std::abs(value);
    if (size == 0) return "0";
    if (size < 10) return fmt::format("{:.2f}", value);
    if (size < 100) return fmt::format("{:.1f}", value);
    std::string digits = fmt::format("{:.0f}", value);
    for (std::size_t place = digits.size(); place > 3; place -= 3)
        digits.insert(place - 3, ",");
    return digits;
}

std::string judged_text(const Row& row) {
    const Summary& value = row.ratio ? *row.ratio : row.ours.value;
    const std::string unit = row.ratio ? "" : " " + row.unit;
    const std::string spread =
        value.count > 1 ? fmt::format(" ({}–{})", number_text(value.low), number_text(value.high)) : "";
    return number_text(value.median) + spread + unit;
}

std::string target_text(const Row& row) {
    return "≤ " + number_text(row.target) + (row.ratio || !row.skipped.empty() ? "" : " " + row.unit);
}

std::string verdict(const Row& row) {
    if (!row.skipped.empty()) return "skipped";
    return row.met() ? "met" : "MISSED";
}

std::string machine_text(const Machine& machine) {
    return fmt::format("cancelable {}, {}, {} cores, Linux {}, {}, {} rounds", machine.version, machine.cpu,
                       machine.cores, machine.kernel, machine.date, machine.rounds);
}

}  // namespace cancelable::bench
