// Instructions, as valgrind's callgrind counts them: of a client from its start to its end, of a supervisor
// between two moments at which callgrind is asked to write down what it has. What a supervisor does at its
// start depends on what else runs on the machine, and what others of its threads do is done in batches, whose
// size depends on the moment: neither is counted. --parent none: as for system calls.
#include <filesystem>
#include <fstream>

#include "tests/bench/counting.h"
#include "tests/bench/statistics.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr int kWindows = 4;  // the first of which brings about what is done once
constexpr int kRuns = 10;    // in each
constexpr int kClients = 3;

Words callgrind(const std::string& out) {
    return {"valgrind",
            "--quiet",
            "--tool=callgrind",
            "--separate-threads=yes",
            "--log-file=/dev/null",
            "--callgrind-out-file=" + out};
}

double instructions_in(const std::string& path) {
    std::ifstream file(path);
    for (std::string word; file >> word;)
        if (double value = 0; word == "totals:" && file >> value) return value;
    throw std::runtime_error("callgrind has counted nothing in " + path);
}

double instructions_of_client(const World& world, const std::string& out) {
    Words words = callgrind(out);
    words.insert(words.end(), {World::program(), "run", "--parent", "none", "--", "/bin/true"});
    reap(spawn(words, world.setup()));
    return instructions_in(out + "-01");
}

void write_down(const World& world) {
    Setup setup = world.setup();
    setup.quiet = true;
    try {
        reap(spawn({"vgdb", "--pid=" + std::to_string(world.supervisor()), "dump"}, setup));
    } catch (const std::exception&) {
        throw CannotCount("valgrind cannot be asked for what it has counted");
    }
}

double instructions_of_supervisor(World& world, const std::string& out) {
    std::vector<double> windows;
    for (int window = 1; window <= kWindows; ++window) {
        for (int i = 0; i < kRuns; ++i) {
            world.run({"run", "--parent", "none", "--", "/bin/true"});
            world.wait_until_released();
        }
        world.call("supervisor.hello");  // Once it has answered, all before it has been done.
        write_down(world);
        if (window > 1)
            windows.push_back(instructions_in(out + "." + std::to_string(window) + "-01") / kRuns);
    }
    return summarize(windows).median;
}

}  // namespace

std::vector<Count> count_instructions(const std::string& directory) {
#ifndef __OPTIMIZE__
    throw CannotCount("this build is not optimized");
#endif
    if (!std::filesystem::exists("/usr/bin/valgrind")) throw CannotCount("valgrind is not there");
    const std::string out = directory + "/supervisor";
    World world(directory + "/watched", callgrind(out));
    const double supervisor = instructions_of_supervisor(world, out);
    std::vector<double> clients;
    for (int i = 0; i < kClients; ++i)
        clients.push_back(instructions_of_client(world, directory + "/client"));
    world.stop();
    return {{"instructions.client", summarize(clients).median, 3},
            {"instructions.supervisor", supervisor, 5}};
}

}  // namespace cancelable::bench
