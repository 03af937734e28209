// System calls, as strace sees them.
//
// What a run is part of is not asked for (--parent none): the answer is found from parent to parent, so it
// costs as much as the process is deep in its machine's tree. Each run is over, and released, before the next
// one begins: what two share (a transaction, a round of the loop) would otherwise depend on the moment.
#include <fstream>

#include "tests/bench/counting.h"
#include "tests/bench/statistics.h"
#include "tests/bench/strace_log.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr int kFirst = 3;  // that do what is done once
constexpr int kRuns = 20;
const std::string kCommand = "/bin/true";

void check_that_tracing_is_allowed(const World& world) {
    Setup setup = world.setup();
    setup.quiet = true;
    try {
        reap(spawn({"strace", "-o", "/dev/null", kCommand}, setup));
    } catch (const std::exception&) {
        throw CannotCount("strace is not there, or may not trace");
    }
}

std::size_t traced_run(const World& world, const std::string& log) {
    reap(spawn({"strace", "-o", log, World::program(), "run", "--parent", "none", "--", kCommand},
               world.setup()));
    world.wait_until_released();
    std::ifstream file(log);
    return count_calls(file);
}

}  // namespace

std::vector<Count> count_system_calls(const std::string& directory) {
    {
        const World untraced(directory + "/untraced");
        check_that_tracing_is_allowed(untraced);
    }
    const std::string log = directory + "/supervisor";
    World world(directory + "/traced", {"strace", "-ff", "-o", log});
    const auto calls_so_far = [&] {
        world.call(
            "supervisor.hello");  // Once it has answered, all before it has been done, and written down.
        return count_calls_of_supervisor(log, world.supervisor(), kCommand);
    };
    for (int i = 0; i < kFirst; ++i)
        traced_run(world, directory + "/client");
    const Calls before = calls_so_far();
    std::vector<double> client;
    for (int i = 0; i < kRuns; ++i)
        client.push_back(static_cast<double>(traced_run(world, directory + "/client")));
    const Calls after = calls_so_far();
    world.stop();
    const auto for_each = [](std::size_t from, std::size_t to) {
        return static_cast<double>(to - from) / kRuns;
    };
    return {{"calls.client", summarize(client).median, 5},
            {"calls.supervisor", for_each(before.loop, after.loop), 5},
            {"calls.shim", for_each(before.shims, after.shims), 5}};
}

}  // namespace cancelable::bench
