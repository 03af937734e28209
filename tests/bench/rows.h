#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/row.h"

namespace cancelable::bench {

// What every group of rows gets.
struct Settings {
    int rounds = 300;       // of what takes milliseconds; what takes longer is done less often
    std::string directory;  // the group's own, empty

    // For what takes so many times as long as a single run.
    int rounds_of(int weight) const { return rounds / weight > 1 ? rounds / weight : 1; }
};

// Rows that are measured together, because they need the same things or the same rounds.
struct Group {
    std::vector<std::string_view> rows;
    std::vector<Row> (*measure)(const Settings&);
};

// In the order of the table.
std::span<const Group> groups();

std::vector<Row> measure_run(const Settings& settings);
std::vector<Row> measure_batch(const Settings& settings);
std::vector<Row> measure_cancel(const Settings& settings);
std::vector<Row> measure_glob(const Settings& settings);
std::vector<Row> measure_tree(const Settings& settings);
std::vector<Row> measure_many(const Settings& settings);
std::vector<Row> measure_shim(const Settings& settings);
std::vector<Row> measure_idle(const Settings& settings);

}  // namespace cancelable::bench
