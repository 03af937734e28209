#include "tests/bench/statistics.h"

#include <algorithm>
#include <cmath>

namespace cancelable::bench {
namespace {

double quantile(const std::vector<double>& sorted, double part) {
    const double place = part * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(std::floor(place));
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double weight = place - static_cast<double>(below);
    return sorted[below] * (1 - weight) + sorted[above] * weight;
}

}  // namespace

Summary summarize(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    return {quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75), values.size()};
}

Summary compare(std::span<const double> ours, std::span<const double> theirs) {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < std::min(ours.size(), theirs.size()); ++round)
        if (theirs[round] > 0) ratios.push_back(ours[round] / theirs[round]);
    Summary result = summarize(ratios);
    const double floor = summarize({theirs.begin(), theirs.end()}).median;
    result.median = floor > 0 ? summarize({ours.begin(), ours.end()}).median / floor : 0;
    return result;
}

}  // namespace cancelable::bench
