#include "cli/nearest.h"

#include <algorithm>
#include <vector>

namespace cancelable::cli {
namespace {

// Optimal string alignment: Levenshtein's distance with swaps of neighbours, which are what hurried fingers
// do.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i)
        cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j)
        cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

// The table is quadratic, and no known word is near to a line of text.
constexpr std::size_t kLongest = 64;

}  // namespace

std::string nearest_word(std::string_view typed, std::span<const std::string_view> known) {
    if (typed.empty() || typed.size() > kLongest) return {};
    std::string_view best;
    std::size_t best_distance = 0;
    for (const std::string_view word : known) {
        // What was broken off counts as one slip, however much is missing.
        std::size_t steps = distance(typed, word);
        if (typed.size() >= 3 && word.starts_with(typed)) steps = 1;
        if (best.empty() || steps < best_distance) {
            best = word;
            best_distance = steps;
        }
    }
    const std::size_t tolerated = typed.size() <= 3 ? 1 : typed.size() <= 6 ? 2 : 3;
    return best_distance <= tolerated ? std::string(best) : std::string();
}

std::string did_you_mean(std::string_view typed, std::span<const std::string_view> known) {
    const std::string word = nearest_word(typed, known);
    return word.empty() ? word : "; did you mean \"" + word + "\"?";
}

}  // namespace cancelable::cli
