// Many commands, two at a time, and each of them recorded.
#include <sys/wait.h>

#include <fstream>
#include <stdexcept>

#include "engine/process/fd.h"
#include "tests/bench/rows.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr int kCommands = 5000;
constexpr int kWeight = 60;  // of a round, beside one of a single run

// The least: a loop that starts one as soon as one has ended. Each has its argument, as those of the others:
// with one, true(1) does more.
void two_at_a_time(const Setup& setup) {
    int left = kCommands;
    int running = 0;
    while (left > 0 || running > 0) {
        for (; running < 2 && left > 0; ++running, --left)
            spawn({"true", std::to_string(left)}, setup);
        siginfo_t info{};
        if (retry_eintr([&] { return ::waitid(P_ALL, 0, &info, WEXITED); }) != 0)
            throw std::runtime_error("cannot wait for a command");
        --running;
    }
}

std::size_t completed(World& world) {
    return world.call("stats.get").at("total_completed").get<std::size_t>();
}

std::vector<Row> skipped(const std::string& why) {
    Row row{.id = "batch-xargs", .what = "`run --batch` of 5,000 `true`, 2 jobs, each", .unit = "us"};
    row.skipped = why;
    std::vector<Row> rows(2, row);
    rows[0].target = 1.25;
    rows[1].id = "batch-parallel";
    rows[1].target = 0.25;
    return rows;
}

}  // namespace

std::vector<Row> measure_batch(const Settings& settings) {
    World world(settings.directory + "/batch");
    if (!world.output({"run", "--help"}).contains("--batch")) return skipped("this program has no --batch");

    const std::string numbers = world.directory() + "/numbers";
    std::ofstream file(numbers);
    for (int i = 1; i <= kCommands; ++i)
        file << i << '\n';
    file.close();

    const auto program = [&](const Words& words) { reap(spawn(words, world.setup())); };
    std::vector<Contestant> contestants{
        {"cancelable run --batch",
         {},
         [&] {
             world.run({"-q", "run", "--batch", numbers, "--jobs", "2", "--", "true"});
             world.wait_until_recorded();
         }},
        {"xargs -P2", {}, [&] { program({"xargs", "-a", numbers, "-P2", "-n1", "true"}); }},
        {"posix_spawn and waitid, two at a time", {}, [&] { two_at_a_time(world.setup()); }},
        {"parallel -j2", {}, [&] { program({"parallel", "--will-cite", "-j2", "-a", numbers, "true"}); }},
    };
    const int rounds = settings.rounds_of(kWeight);
    const std::size_t before = completed(world);
    take_turns(contestants, rounds);
    if (completed(world) != before + static_cast<std::size_t>(kCommands * rounds))
        throw std::runtime_error("not every command of a batch has been recorded");
    constexpr double kEach = 1e6 / kCommands;
    const std::string what = "`run --batch` of 5,000 `true`, 2 jobs, each";
    const Contestant parallel = contestants.back();
    contestants.pop_back();
    Row beside_xargs = row_of("batch-xargs", what, "us", kEach, contestants, 1.25);
    contestants[1] = parallel;
    Row beside_parallel = row_of("batch-parallel", what, "us", kEach, contestants, 0.25);
    return {std::move(beside_xargs), std::move(beside_parallel)};
}

}  // namespace cancelable::bench
