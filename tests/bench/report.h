#pragma once

#include <string>
#include <vector>

#include "tests/bench/row.h"

namespace cancelable::bench {

// All rows of one go through them.
using Run = std::vector<Row>;

// What figures mean nothing without.
struct Machine {
    std::string cpu;
    unsigned cores = 0;
    std::string kernel;
    std::string date;  // UTC
    std::string version;
    int rounds = 0;
};
Machine this_machine(int rounds);

struct Report {
    Machine machine;
    std::vector<Run> runs;
};

// For a terminal, of one run.
std::string table(const Run& run);

// Everything, to be read by programs.
std::string json(const Report& report);

// The ratios as bars up to their targets, readable on light and on dark ground. Of several runs, the middle
// one of each row, with the spread over all of them.
std::string chart(const Report& report);

// The same as a table in Markdown, with a column for each run.
std::string markdown(const Report& report);

// `page` with what stands between the lines `<!-- bench: NAME -->` and `<!-- bench: end -->` replaced. Throws
// where there is no such place.
std::string with_section(const std::string& page, const std::string& name, const std::string& content);

}  // namespace cancelable::bench
