#pragma once

#include <string>

#include "tests/bench/report.h"

namespace cancelable::bench {

// How the table, the page and the chart word the same things.

// With as many digits as mean something: 0.84, 12.3, 1,234.
std::string number_text(double value);

// `1.02 (0.97–1.08)`: what a row is judged by, and the quartiles around it where there are several rounds.
std::string judged_text(const Row& row);
std::string target_text(const Row& row);

// `met`, `MISSED` or `skipped`.
std::string verdict(const Row& row);

std::string machine_text(const Machine& machine);

}  // namespace cancelable::bench
