#include "tests/bench/stored_counts.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace cancelable::bench {
namespace {

constexpr const char* kAdvice =
    "Where that is meant, run `share/scripts/bench counts --update` and commit tests/bench/counts.txt with "
    "the "
    "change that causes it.";
constexpr const char* kHead =
    "# What one `run -- true` and one live operation cost, beside which the test `counts` holds what it "
    "counts.\n"
    "# Written by `share/scripts/bench counts --update`; tolerances may be edited. More than that is a "
    "failure.\n";

double change_percent(double value, double stored) {
    return stored > 0 ? (value / stored - 1) * 100 : 0;
}

}  // namespace

StoredCounts::StoredCounts(std::string path) : path_(std::move(path)) {
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        Count count;
        char percent = 0;
        if (!(words >> count.name >> count.value >> count.tolerance_percent >> percent) || percent != '%')
            throw std::runtime_error(path_ + " has a line that makes no sense: " + line);
        stored_[count.name] = count;
    }
}

std::vector<std::string> StoredCounts::complaints(const std::vector<Count>& counts) const {
    std::vector<std::string> lines;
    for (const Count& count : counts) {
        const auto entry = stored_.find(count.name);
        if (entry == stored_.end()) {
            lines.push_back(
                fmt::format("{} is {:.1f} and was never stored. {}", count.name, count.value, kAdvice));
            continue;
        }
        const Count& stored = entry->second;
        const double change = change_percent(count.value, stored.value);
        if (change > stored.tolerance_percent)
            lines.push_back(fmt::format(
                "{} is {:.1f}, {:.1f} % more than the stored {:.1f}; {:g} % is allowed. {}", count.name,
                count.value, change, stored.value, stored.tolerance_percent, kAdvice));
    }
    return lines;
}

std::vector<std::string> StoredCounts::remarks(const std::vector<Count>& counts) const {
    std::vector<std::string> lines;
    for (const Count& count : counts) {
        const auto entry = stored_.find(count.name);
        if (entry == stored_.end()) continue;
        const double change = change_percent(count.value, entry->second.value);
        if (change < -entry->second.tolerance_percent)
            lines.push_back(fmt::format("{} is {:.1f}, {:.1f} % less than the stored {:.1f}: better. {}",
                                        count.name, count.value, -change, entry->second.value, kAdvice));
    }
    return lines;
}

void StoredCounts::update(const std::vector<Count>& counts) {
    for (Count count : counts) {
        const auto entry = stored_.find(count.name);
        if (entry != stored_.end()) count.tolerance_percent = entry->second.tolerance_percent;
        stored_[count.name] = count;
    }
    std::ofstream file(path_);
    file << kHead;
    for (const auto& [name, count] : stored_)
        file << fmt::format("{} {:.1f} {:g}%\n", name, count.value, count.tolerance_percent);
    if (!file.flush()) throw std::runtime_error("cannot write " + path_);
}

}  // namespace cancelable::bench
