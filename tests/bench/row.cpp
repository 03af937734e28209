#include "tests/bench/row.h"

#include <utility>

namespace cancelable::bench {

Figure figure_of(const Contestant& contestant, double units_in_a_second) {
    std::vector<double> values = contestant.seconds;
    for (double& value : values)
        value *= units_in_a_second;
    return {contestant.name, summarize(std::move(values))};
}

Row row_of(std::string id, std::string what, std::string unit, double units_in_a_second,
           const std::vector<Contestant>& contestants, double target) {
    Row row{.id = std::move(id), .what = std::move(what), .unit = std::move(unit), .target = target};
    row.ours = figure_of(contestants.at(0), units_in_a_second);
    row.peer = figure_of(contestants.at(1), units_in_a_second);
    row.ratio = compare(contestants[0].seconds, contestants[1].seconds);
    if (contestants.size() > 2) row.floor = figure_of(contestants[2], units_in_a_second);
    for (std::size_t i = 3; i < contestants.size(); ++i)
        row.others.push_back(figure_of(contestants[i], units_in_a_second));
    return row;
}

}  // namespace cancelable::bench
