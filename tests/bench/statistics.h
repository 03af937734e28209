#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace cancelable::bench {

// What many measurements of one thing come to. Medians and quartiles, never means: one interruption by the
// rest of the machine must not count.
struct Summary {
    double low = 0;  // first quartile
    double median = 0;
    double high = 0;  // third quartile
    std::size_t count = 0;
};

// All zero where there is nothing. Between two values the quartiles are interpolated.
Summary summarize(std::vector<double> values);

// How one compares with another that was measured in the same rounds: the ratio of the medians, and the
// quartiles of the ratios of each round, which tell how much a single round may be trusted.
Summary compare(std::span<const double> ours, std::span<const double> theirs);

}  // namespace cancelable::bench
