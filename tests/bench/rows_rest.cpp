// What operations cost that do nothing: a shim's memory, and a supervisor's sleep.
#include <poll.h>

#include <chrono>

#include "tests/bench/rows.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr std::size_t kIdle = 1000;
constexpr int kWindows = 5;
constexpr int kWindowMs = 2000;
// A shim gives back what it needed for the start once the command has run for a moment.
constexpr int kSettleMs = 2000;

// Until a whole window has brought nothing, or it is plain that none will.
void wait_until_quiet(pid_t supervisor) {
    for (int window = 0; window < 15; ++window) {
        const auto before = wake_ups(supervisor);
        ::poll(nullptr, 0, kWindowMs);
        if (wake_ups(supervisor) == before) return;
    }
}

}  // namespace

std::vector<Row> measure_shim(const Settings& settings) {
    World world(settings.directory + "/shim");
    const World::Sleeper first = world.start_sleep();
    ::poll(nullptr, 0, kSettleMs);
    const auto alone = static_cast<double>(pss_kib(parent_of(first.pid)));

    std::vector<World::Sleeper> others;
    for (int i = 0; i < 49; ++i)
        others.push_back(world.start_sleep());
    ::poll(nullptr, 0, kSettleMs);
    std::vector<double> values;
    std::vector<double> unshared;
    for (const World::Sleeper& sleeper : others) {
        values.push_back(static_cast<double>(pss_kib(parent_of(sleeper.pid))));
        unshared.push_back(static_cast<double>(anonymous_kib(parent_of(sleeper.pid))));
    }
    Row row{.id = "shim", .what = "memory of a shim (PSS), the only one", .unit = "KiB", .target = 250};
    row.ours = {"alone", summarize({alone})};
    row.others = {{"among 50", summarize(values)}, {"of that anonymous", summarize(unshared)}};
    return {std::move(row)};
}

std::vector<Row> measure_idle(const Settings& settings) {
    World world(settings.directory + "/idle");
    world.start_operations(kIdle, "idle", {"sleep", "100000"});
    wait_until_quiet(world.supervisor());
    std::vector<double> rates;
    double sum = 0;
    for (int window = 0; window < kWindows; ++window) {
        using Clock = std::chrono::steady_clock;
        const auto start = Clock::now();
        const auto before = wake_ups(world.supervisor());
        ::poll(nullptr, 0, kWindowMs);
        const auto count = static_cast<double>(wake_ups(world.supervisor()) - before);
        rates.push_back(count / std::chrono::duration<double>(Clock::now() - start).count());
        sum += rates.back();
    }
    Row row{
        .id = "idle", .what = "wake-ups of an idle supervisor, 1,000 operations", .unit = "/s", .target = 0};
    row.ours = {"all its threads", summarize(rates)};
    row.ours.value.median = sum / kWindows;  // Here a single one must not get lost.
    return {std::move(row)};
}

}  // namespace cancelable::bench
