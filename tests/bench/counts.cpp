// Guards what a run and an operation cost without a clock: counts [calls|instructions|memory]… [--update].
//
// Compares with the figures in counts.txt, and fails where there is more than that and a tolerance. Exits
// with 77 where nothing could be counted here.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tests/bench/counting.h"
#include "tests/bench/guard.h"
#include "tests/bench/stored_counts.h"

namespace cancelable::bench {
namespace {

constexpr int kSkipped = 77;

struct Part {
    std::string name;
    std::vector<Count> (*count)(const std::string& directory);
};

const std::vector<Part>& parts() {
    static const std::vector<Part> all{
        {"calls", count_system_calls}, {"instructions", count_instructions}, {"memory", count_memory}};
    return all;
}

void say(const std::vector<std::string>& lines) {
    for (const std::string& line : lines)
        std::printf("%s\n", line.c_str());
}

int work(const std::vector<std::string>& wanted, bool update, const std::string& path,
         const std::string& directory) {
    std::vector<Count> counts;
    for (const Part& part : parts()) {
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), part.name) == wanted.end()) continue;
        const std::string own = directory + "/" + part.name;
        std::filesystem::create_directory(own);
        try {
            for (Count& count : part.count(own))
                counts.push_back(std::move(count));
        } catch (const CannotCount& error) {
            std::printf("SKIPPED: %s: %s\n", part.name.c_str(), error.what());
        }
    }
    if (counts.empty()) return kSkipped;
    for (const Count& count : counts)
        std::printf("%-24s %12.1f\n", count.name.c_str(), count.value);

    StoredCounts stored(path);
    if (update) {
        stored.update(counts);
        return 0;
    }
    const auto complaints = stored.complaints(counts);
    say(complaints);
    say(stored.remarks(counts));
    return complaints.empty() ? 0 : 1;
}

}  // namespace
}  // namespace cancelable::bench

int main(int argc, char** argv) {
    std::vector<std::string> wanted;
    bool update = false;
    std::string path = CANCELABLE_STORED_COUNTS;
    CLI::App app{"Counts what a run and an operation cost, and compares with what is stored."};
    app.add_option("PART", wanted, "calls, instructions, memory: all unless said");
    app.add_flag("--update", update, "store what is counted");
    app.add_option("--stored", path, "the file with the stored figures")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        return cancelable::bench::run_guarded([&](const std::string& directory) {
            return cancelable::bench::work(wanted, update, path, directory);
        });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "counts: %s\n", error.what());
        return 1;
    }
}
