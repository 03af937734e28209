// What 5,000 live operations change: in time for those beside them, and in memory.
#include <poll.h>

#include <chrono>

#include "tests/bench/rows.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr std::size_t kMany = 5000;
constexpr int kTenth = 10;
const Words kSleep{"sleep", "100000"};

// Memory and rows come to rest some time after the last operation has started.
long settled_memory_kib(pid_t pid) {
    using namespace std::chrono_literals;
    long value = anonymous_kib(pid);
    const auto end = std::chrono::steady_clock::now() + 20s;
    for (int same = 0; same < 8 && std::chrono::steady_clock::now() < end;) {
        ::poll(nullptr, 0, 250);
        const long now = anonymous_kib(pid);
        same = now == value ? same + 1 : 0;
        value = now;
    }
    return value;
}

Row memory_row(long before, long after) {
    Row row{
        .id = "memory", .what = "supervisor memory for each of 5,000 operations", .unit = "KiB", .target = 4};
    row.ours = {"anonymous memory", summarize({static_cast<double>(after - before) / kMany})};
    row.others = {{"the supervisor before", summarize({static_cast<double>(before)})},
                  {"the supervisor with them", summarize({static_cast<double>(after)})}};
    return row;
}

}  // namespace

std::vector<Row> measure_many(const Settings& settings) {
    World among(settings.directory + "/among");
    World alone(settings.directory + "/alone");
    // Threads and caches that are there after a first few do not count for each.
    for (World* world : {&among, &alone}) {
        world->start_operations(kTenth, "first", kSleep);
        world->run({"cancel", "first"});
        world->run({"list", "--all"});
    }
    const long before = settled_memory_kib(among.supervisor());
    among.start_operations(kMany, "many", kSleep);
    alone.start_operations(1, "many", kSleep);
    const long after = settled_memory_kib(among.supervisor());

    std::vector<Contestant> runs{
        {"among 5,000 operations", {}, [&] { among.run({"run", "--", "true"}); }},
        {"the same with one", {}, [&] { alone.run({"run", "--", "true"}); }},
    };
    take_turns(runs, settings.rounds);

    World::Sleeper sleeper;
    std::vector<Contestant> cancels{
        {"among 5,000 operations", [&] { sleeper = among.start_sleep(); },
         [&] { among.run({"cancel", sleeper.id}); }},
        {"the same with one", [&] { sleeper = alone.start_sleep(); },
         [&] { alone.run({"cancel", sleeper.id}); }},
    };
    take_turns(cancels, settings.rounds);

    std::vector<Contestant> lists{
        {"cancelable list --json", {}, [&] { among.output({"list", "--json"}); }},
    };
    take_turns(lists, settings.rounds_of(kTenth));
    Row list{.id = "list", .what = "`list --json` of 5,000 live operations", .unit = "ms", .target = 60};
    list.ours = figure_of(lists[0], 1e3);

    return {row_of("run-among", "`run -- true` with 5,000 live operations", "us", 1e6, runs, 1.2),
            row_of("cancel-among", "`cancel ID` with 5,000 live operations", "us", 1e6, cancels, 1.2),
            std::move(list), memory_row(before, after)};
}

}  // namespace cancelable::bench
