// Holds many live operations for a while and cancels all of them by one pattern: scale [--operations N]
// [--hold S].
//
// Nothing may be lost: each must live until then, be gone when the cancel returns, and be in the history as
// cancelled, with the moment at which it was gone, also for the next supervisor. And the supervisor must come
// back to where it was: to the same number of descriptors, and to its memory.
//
// "Where it was" is after a first round of as many that were started and cancelled: what a supervisor keeps
// of ended operations (the last thousand), its caches, and what the allocator does not give back are there by
// then, so that whatever a second round adds is lost for good.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "engine/process/proc.h"
#include "tests/bench/guard.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSkipped = 77;
// Descriptors for one operation: its channel, and its shim's pidfd. And some for the rest.
constexpr rlim_t kDescriptorsEach = 2;
constexpr rlim_t kDescriptorsBeside = 100;
constexpr rlim_t kProcessesEach = 2;  // the shim and the command
// Memory may differ by what stays in partly filled pages, and by caches of the database, which has 2 MiB for
// each connection, and grows. So the small form, whose operations are worth less than that, looks for
// descriptors and operations; what one operation takes is guarded by `counts`.
constexpr double kMemoryFactor = 1.05;
constexpr long kMemoryBesideKib = 4096;

struct Options {
    std::size_t operations = 5000;
    int hold_seconds = 60;
};

[[noreturn]] void fail(const std::string& why) {
    throw std::runtime_error(why);
}

// Why this machine does not let so many be started, or nothing.
std::string obstacle(std::size_t operations) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    // The soft limit is raised by the supervisor itself.
    if (const rlim_t wanted = operations * kDescriptorsEach + kDescriptorsBeside; files.rlim_max < wanted)
        return fmt::format("the hard limit of open files (ulimit -Hn) is {}, and {} operations need {}",
                           files.rlim_max, operations, wanted);
    rlimit processes{};
    ::getrlimit(RLIMIT_NPROC, &processes);
    const rlim_t wanted = operations * kProcessesEach + kDescriptorsBeside;
    if (::geteuid() != 0 && processes.rlim_cur < wanted)
        return fmt::format("the limit of processes (ulimit -u) is {}, and {} operations need {}",
                           processes.rlim_cur, operations, wanted);
    std::ifstream file("/proc/sys/kernel/pid_max");
    if (rlim_t most = 0; file >> most && most < wanted)
        return fmt::format("kernel.pid_max is {}, and {} operations need {}", most, operations, wanted);
    return {};
}

nlohmann::json operations_named(World& world, const std::string& name, bool ended_too) {
    return world.call("operation.list", {{"selector", {{"globs", {name}}}}, {"all", ended_too}})
        .at("operations");
}

struct Use {
    std::size_t descriptors = 0;
    long memory_kib = 0;
};

std::string text(const Use& use) {
    return fmt::format("{} descriptors, {} KiB", use.descriptors, use.memory_kib);
}

// The shims that a supervisor keeps for the next operations, once those that were too many have gone.
constexpr std::size_t kIdleShims = 2;

std::size_t children(pid_t pid) {
    std::vector<pid_t> found;
    if (const auto stat = read_stat(pid)) append_children(pid, stat->threads, found);
    return found.size();
}

// Once nothing of what has ended is on its way any more. Memory is read when it has not changed for a while.
Use use_at_rest(World& world) {
    world.wait_until_released();
    wait_until("the end of the shims", [&] { return children(world.supervisor()) <= kIdleShims; });
    Use use{descriptors(world.supervisor()), anonymous_kib(world.supervisor())};
    wait_until("the supervisor at rest", [&] {
        ::poll(nullptr, 0, 300);
        const Use now{descriptors(world.supervisor()), anonymous_kib(world.supervisor())};
        const bool same = now.descriptors == use.descriptors && now.memory_kib == use.memory_kib;
        use = now;
        return same;
    });
    return use;
}

std::vector<pid_t> processes_of(const nlohmann::json& operations) {
    std::vector<pid_t> pids;
    for (const auto& operation : operations)
        pids.push_back(operation.at("pid").get<pid_t>());
    return pids;
}

void hold(World& world, const std::string& name, const Options& options) {
    const auto end = Clock::now() + std::chrono::seconds(options.hold_seconds);
    const pid_t supervisor = world.supervisor();
    do {
        ::poll(nullptr, 0, 1000);
        if (world.call("supervisor.hello").at("pid") != supervisor) fail("the supervisor has been replaced");
        if (const auto live = operations_named(world, name, false); live.size() != options.operations)
            fail(fmt::format("{} of {} operations are live", live.size(), options.operations));
    } while (Clock::now() < end);
}

// Starts them, holds them, and cancels them; all must be gone by then.
void round(World& world, const std::string& name, const Options& options, bool with_hold) {
    const auto started = Clock::now();
    world.start_operations(options.operations, name, {"sleep", "100000"});
    const auto live = operations_named(world, name, false);
    if (live.size() != options.operations) fail(fmt::format("only {} operations are live", live.size()));
    const auto pids = processes_of(live);
    for (const pid_t pid : pids)
        settle(pid, "sleep");
    const Use use{descriptors(world.supervisor()), anonymous_kib(world.supervisor())};
    const std::chrono::duration<double> starting = Clock::now() - started;
    if (with_hold) hold(world, name, options);

    const auto cancelled = Clock::now();
    world.run({"cancel", name});
    const std::chrono::duration<double> cancelling = Clock::now() - cancelled;
    for (const pid_t pid : pids)
        if (exists(pid)) fail(fmt::format("process {} is still there", pid));
    if (!operations_named(world, name, false).empty()) fail("not all operations have ended");
    std::printf("%s: started in %.1f s (%s), cancelled in %.2f s\n", name.c_str(), starting.count(),
                text(use).c_str(), cancelling.count());
}

void check_history(World& world, const std::string& name, std::size_t count) {
    const auto ended = operations_named(world, name, true);
    if (ended.size() != count) fail(fmt::format("the history has {} of {} operations", ended.size(), count));
    for (const auto& operation : ended)
        if (operation.at("status") != "cancelled" || operation.at("cancel").at("gone_at").is_null())
            fail("not cancelled, or not gone: " + operation.dump());
}

void check_back(const Use& before, const Use& after) {
    if (after.descriptors > before.descriptors)
        fail("descriptors were left open: " + text(before) + ", then " + text(after));
    if (static_cast<double>(after.memory_kib) >
        static_cast<double>(before.memory_kib) * kMemoryFactor + kMemoryBesideKib)
        fail("memory was lost: " + text(before) + ", then " + text(after));
}

int work(const Options& options, const std::string& directory) {
    if (const std::string why = obstacle(options.operations); !why.empty()) {
        std::printf("SKIPPED: %s\n", why.c_str());
        return kSkipped;
    }
    World world(directory + "/scale");
    std::printf("at first: %s\n", text(use_at_rest(world)).c_str());
    round(world, "first", options, false);
    std::printf("without them: %s\n", text(use_at_rest(world)).c_str());
    check_history(world, "first", options.operations);
    const Use before = use_at_rest(world);
    std::printf("after the first round, and a look at its history: %s\n", text(before).c_str());

    round(world, "second", options, true);
    check_history(world, "second", options.operations);
    const Use after = use_at_rest(world);
    std::printf("after the second round, and a look at its history: %s\n", text(after).c_str());
    check_back(before, after);
    world.restart();
    check_history(world, "second", options.operations);
    std::printf("nothing is lost, and a new supervisor knows all of them\n");
    return 0;
}

}  // namespace
}  // namespace cancelable::bench

int main(int argc, char** argv) {
    cancelable::bench::Options options;
    CLI::App app{"Holds many live operations for a while, cancels all of them, and looks for what is lost."};
    app.add_option("--operations", options.operations, "how many")
        ->capture_default_str()
        ->check(CLI::Range(1, 9000));
    app.add_option("--hold", options.hold_seconds, "for so many seconds")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        return cancelable::bench::run_guarded(
            [&](const std::string& directory) { return cancelable::bench::work(options, directory); });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "scale: %s\n", error.what());
        return 1;
    }
}
