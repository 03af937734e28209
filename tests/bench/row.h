#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/contest.h"
#include "tests/bench/statistics.h"

namespace cancelable::bench {

// One thing and what it took.
struct Figure {
    std::string name;
    Summary value;  // in the row's unit
};

// One line of the table: what we take beside a peer, or by itself, and what it is to be.
struct Row {
    std::string id;    // what --rows picks by
    std::string what;  // ours, in words
    std::string unit;  // of the figures: "us", "ms", "KiB", "/s"
    double target = 0;
    Figure ours{};
    std::optional<Figure> peer{};
    std::optional<Figure> floor{};   // what the kernel itself takes for it
    std::vector<Figure> others{};    // to be seen beside it, without a target
    std::optional<Summary> ratio{};  // to the peer; the target is of this where there is one, else of `ours`
    std::string skipped{};           // why there are no figures, where there are none

    double judged() const { return ratio ? ratio->median : ours.value.median; }
    bool met() const { return skipped.empty() && judged() <= target; }
};

// A figure of what a contestant took, in a unit of which a second has so many.
Figure figure_of(const Contestant& contestant, double units_in_a_second);

// The row of contestants that have taken their turns: ours, the peer, and then perhaps the floor and others.
Row row_of(std::string id, std::string what, std::string unit, double units_in_a_second,
           const std::vector<Contestant>& contestants, double target);

}  // namespace cancelable::bench
