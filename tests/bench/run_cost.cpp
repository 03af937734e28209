// What a command costs under cancelable, beside what it costs without: run-cost [--rounds N].
//
// Times are medians over rounds in which the contestants take turns, so that whatever else the machine does
// hits them alike; only the ratios of one run mean something. The floor is what the kernel itself takes,
// without any program in between.
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "engine/process/fd.h"

extern char** environ;

namespace {

using Words = std::vector<std::string>;
using Microseconds = std::chrono::duration<double, std::micro>;

const std::string kProgram = CANCELABLE_PROGRAMS "/cancelable";

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "run-cost: %s\n", why.c_str());
    std::exit(1);
}

pid_t spawn(const Words& words, int out = -1) {
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    pid_t pid = 0;
    if (posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) != 0)
        give_up("cannot start " + words[0]);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

void reap(pid_t pid) {
    siginfo_t info{};
    cancelable::retry_eintr([&] { return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED); });
}

std::string output_of(const Words& words) {
    auto pipe = cancelable::make_pipe();
    if (!pipe) give_up(pipe.error().sentence());
    const pid_t pid = spawn(words, pipe->write_end.get());
    pipe->write_end.reset();
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(pipe->read_end.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    reap(pid);
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

struct Contestant {
    const char* name;
    std::function<void()> prepare;  // not measured
    std::function<void()> measured;
    std::vector<double> microseconds = {};

    double median() {
        const auto middle = microseconds.begin() + static_cast<std::ptrdiff_t>(microseconds.size() / 2);
        std::nth_element(microseconds.begin(), middle, microseconds.end());
        return *middle;
    }
};

void take_turns(std::vector<Contestant>& contestants, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        // Who comes first changes from round to round, so that nobody always follows the same one.
        for (std::size_t i = 0; i < contestants.size(); ++i) {
            Contestant& contestant = contestants[(i + static_cast<std::size_t>(round)) % contestants.size()];
            if (contestant.prepare) contestant.prepare();
            const auto start = std::chrono::steady_clock::now();
            contestant.measured();
            contestant.microseconds.push_back(Microseconds(std::chrono::steady_clock::now() - start).count());
        }
    }
}

// The proportional set size, in KiB: what a process costs, with shared pages counted by their share.
long pss_kib(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string word; file >> word;)
        if (long value = 0; word == "Pss:" && file >> value) return value;
    give_up("cannot read the memory of process " + std::to_string(pid));
}

pid_t parent_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    return std::atoi(line.c_str() + line.rfind(')') + 4);
}

// The number behind a key in JSON that this program asked for itself.
long number_after(const std::string& json, const std::string& key) {
    const auto at = json.find("\"" + key + "\"");
    if (at == std::string::npos) give_up("no " + key + " in " + json);
    return std::atol(json.c_str() + json.find(':', at) + 1);
}

void print_row(const std::string& what, double value, double peer, double floor, const char* unit,
               double target) {
    std::printf("%-34s %9.0f %9.0f %9.0f %-3s %7.2f %7.2f  %s\n", what.c_str(), value, peer, floor, unit,
                value / peer, target, value / peer <= target ? "met" : "MISSED");
}

void print_memory(const char* what, long kib, long target_kib) {
    std::printf("%-34s %9ld %9s %9s KiB %7s %7ld  %s\n", what, kib, "", "", "", target_kib,
                kib < target_kib ? "met" : "MISSED");
}

// Directories of its own, and a supervisor that is stopped at the end.
class World {
public:
    World() {
        char name[] = "/tmp/cancelable-bench.XXXXXX";
        if (::mkdtemp(name) == nullptr) give_up("cannot make a temporary directory");
        directory_ = name;
        for (const char* variable : {"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"}) {
            const std::string path = directory_ + "/" + variable;
            ::mkdir(path.c_str(), 0700);
            ::setenv(variable, path.c_str(), 1);
        }
        ::unsetenv("CANCELABLE_SOCKET");
        ::unsetenv("CANCELABLE_OPERATION_ID");
        reap(spawn({kProgram, "run", "--", "true"}));
    }
    ~World() {
        reap(spawn({kProgram, "-q", "supervisor", "stop", "--cancel"}));
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

private:
    std::string directory_;
};

void measure_run(int rounds) {
    std::vector<Contestant> contestants{
        {"cancelable run", {}, [] { reap(spawn({kProgram, "run", "--", "true"})); }},
        {"timeout", {}, [] { reap(spawn({"timeout", "9", "true"})); }},
        {"posix_spawn and waitid", {}, [] { reap(spawn({"true"})); }},
    };
    take_turns(contestants, rounds);
    print_row("run -- true | timeout 9 true", contestants[0].median(), contestants[1].median(),
              contestants[2].median(), "us", 1.5);
}

void measure_cancel(int rounds) {
    std::string id;
    pid_t sleeper = 0;
    const auto start_sleep = [&] { sleeper = spawn({"sleep", "1000"}); };
    // A process that has only just been forked dies differently: so each has come as far as its first sleep.
    const auto settle = [](pid_t pid) {
        const std::string path = "/proc/" + std::to_string(pid) + "/comm";
        if (pid <= 0) give_up("the sleep does not run");
        for (std::string name; name != "sleep";) {
            std::ifstream file(path);
            std::getline(file, name);
        }
    };
    std::vector<Contestant> contestants{
        {"cancelable cancel",
         [&] {
             id = output_of({kProgram, "run", "--detach", "--no-log", "--", "sleep", "1000"});
             settle(static_cast<pid_t>(number_after(output_of({kProgram, "show", id, "--json"}), "pid")));
         },
         [&] { output_of({kProgram, "cancel", id}); }},
        {"kill",
         [&] {
             start_sleep();
             settle(sleeper);
         },
         [&] {
             output_of({"kill", std::to_string(sleeper)});
             reap(sleeper);
         }},
        {"kill and waitid",
         [&] {
             start_sleep();
             settle(sleeper);
         },
         [&] {
             ::kill(sleeper, SIGTERM);
             reap(sleeper);
         }},
    };
    take_turns(contestants, rounds);
    print_row("cancel of a sleep | kill(1) of one", contestants[0].median(), contestants[1].median(),
              contestants[2].median(), "us", 1.5);
}

void measure_memory() {
    const std::string stats = output_of({kProgram, "stats", "--json"});
    const std::string id = output_of({kProgram, "run", "--detach", "--no-log", "--", "sleep", "1000"});
    const auto command = static_cast<pid_t>(number_after(output_of({kProgram, "show", id, "--json"}), "pid"));
    // A shim gives back what it needed for the start once the command has run for a moment.
    ::usleep(1'000'000);
    const long shim = pss_kib(parent_of(command));
    output_of({kProgram, "cancel", id});
    const auto supervisor =
        static_cast<pid_t>(number_after(stats.substr(stats.find("\"supervisor\"")), "pid"));
    print_memory("memory of the idle supervisor (PSS)", pss_kib(supervisor), 8192);
    print_memory("memory of one shim (PSS)", shim, 400);
}

}  // namespace

int main(int argc, char** argv) {
    int rounds = 200;
    if (argc == 3 && std::string(argv[1]) == "--rounds") {
        rounds = std::max(1, std::atoi(argv[2]));
    } else if (argc != 1) {
        std::fprintf(stderr, "usage: run-cost [--rounds N]\n");
        return 2;
    }
    const World world;
    std::printf("Medians of %d interleaved rounds.\n\n%-34s %9s %9s %9s %-3s %7s %7s\n", rounds, "", "value",
                "peer", "floor", "", "ratio", "target");
    measure_run(rounds);
    measure_cancel(rounds);
    measure_memory();
    return 0;
}
