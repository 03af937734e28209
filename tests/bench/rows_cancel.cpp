// Ending things: one, a thousand by a pattern, and a tree of a thousand that does not want to.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>

#include "engine/process/fd.h"
#include "tests/bench/rows.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr int kThousand = 1000;
constexpr int kWeight = 30;  // of a round with a thousand processes, beside one with a single one

void must_be_gone(pid_t pid) {
    if (exists(pid)) throw std::runtime_error("a cancelled process is still there");
}

pid_t running_sleep(const World& world) {
    const pid_t pid = spawn({"sleep", "100000"}, world.setup());
    settle(pid, "sleep");
    return pid;
}

std::vector<pid_t> sleeps(const World& world) {
    std::vector<pid_t> pids;
    for (int i = 0; i < kThousand; ++i)
        pids.push_back(spawn({"sleep", "100000"}, world.setup()));
    for (const pid_t pid : pids)
        settle(pid, "sleep");
    return pids;
}

// A FIFO into which tests/fixtures/wide writes a line once all of its children are there.
class Arrival {
public:
    explicit Arrival(std::string path) : path_(std::move(path)) {
        if (::mkfifo(path_.c_str(), 0600) != 0) throw std::runtime_error("cannot make " + path_);
        fd_.reset(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    }
    void wait() const {
        char line[8];
        if (retry_eintr([&] { return ::read(fd_.get(), line, sizeof line); }) <= 0)
            throw std::runtime_error("the tree does not come up");
    }
    // A shell that ignores SIGTERM, and hands that down, becomes the first of a thousand.
    Words tree() const {
        return {
            "sh", "-c",
            "trap '' TERM; exec " CANCELABLE_FIXTURES "/wide " + path_ + " " + std::to_string(kThousand - 1)};
    }

private:
    std::string path_;
    UniqueFd fd_;
};

void reap_group(pid_t group) {
    siginfo_t info{};
    for (int reaped = 0;; ++reaped) {
        if (retry_eintr([&] { return ::waitid(P_PGID, static_cast<id_t>(group), &info, WEXITED); }) == 0)
            continue;
        if (errno != ECHILD || reaped != kThousand)
            throw std::runtime_error("not the whole group was reaped");
        return;
    }
}

}  // namespace

std::vector<Row> measure_cancel(const Settings& settings) {
    World world(settings.directory + "/cancel");
    World::Sleeper operation;
    pid_t sleeper = 0;
    const auto start = [&] { sleeper = running_sleep(world); };
    std::vector<Contestant> contestants{
        {"cancelable cancel", [&] { operation = world.start_sleep(); },
         [&] { world.run({"cancel", operation.id}); }},
        {"kill(1)", start,
         [&] {
             reap(spawn({"kill", std::to_string(sleeper)}, world.setup()));
             reap(sleeper, SIGTERM);
         }},
        {"kill and waitid", start,
         [&] {
             ::kill(sleeper, SIGTERM);
             reap(sleeper, SIGTERM);
         }},
    };
    take_turns(contestants, settings.rounds);
    must_be_gone(operation.pid);
    return {row_of("cancel", "`cancel ID` until the process is gone", "us", 1e6, contestants, 1.25)};
}

std::vector<Row> measure_glob(const Settings& settings) {
    World world(settings.directory + "/glob");
    pid_t last = 0;
    std::vector<pid_t> pids;
    const auto start = [&] { pids = sleeps(world); };
    std::vector<Contestant> contestants{
        {"cancelable cancel",
         [&] {
             last = world.start_operations(kThousand, "bench_sleep", {"sleep", "100000"});
             settle(last, "sleep");
         },
         [&] { world.run({"cancel", "bench_*"}); }},
        {"kill and waitid, one by one", start,
         [&] {
             for (const pid_t pid : pids) {
                 ::kill(pid, SIGTERM);
                 reap(pid, SIGTERM);
             }
         }},
        {"all killed, then all reaped", start,
         [&] {
             for (const pid_t pid : pids)
                 ::kill(pid, SIGTERM);
             for (const pid_t pid : pids)
                 reap(pid, SIGTERM);
         }},
    };
    take_turns(contestants, settings.rounds_of(kWeight));
    must_be_gone(last);
    return {row_of("cancel-glob", "one `cancel GLOB` of 1,000 sleeps, each", "us", 1e6 / kThousand,
                   contestants, 3)};
}

std::vector<Row> measure_tree(const Settings& settings) {
    World world(settings.directory + "/tree");
    const Arrival arrival(world.directory() + "/up");
    std::string id;
    pid_t group = 0;
    std::vector<Contestant> contestants{
        {"cancelable cancel --now",
         [&] {
             Words command{"run", "--detach", "--no-log", "--"};
             for (const std::string& word : arrival.tree())
                 command.push_back(word);
             id = world.output(command);
             arrival.wait();
         },
         [&] { world.run({"cancel", "--now", id}); }},
        {"SIGKILL of a process group",
         [&] {
             Setup setup = world.setup();
             setup.own_group = true;
             group = spawn(arrival.tree(), setup);
             arrival.wait();
         },
         [&] {
             ::kill(-group, SIGKILL);
             reap_group(group);
         }},
    };
    take_turns(contestants, settings.rounds_of(kWeight));
    return {row_of("cancel-tree", "`cancel --now` of a tree of 1,000 that ignore SIGTERM", "us", 1e6,
                   contestants, 2)};
}

}  // namespace cancelable::bench
