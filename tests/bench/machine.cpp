#include <sys/utsname.h>

#include <ctime>
#include <fstream>
#include <thread>

#include "tests/bench/report.h"
#include "version.h"

namespace cancelable::bench {

Machine this_machine(int rounds) {
    Machine machine;
    machine.cores = std::thread::hardware_concurrency();
    machine.version = kVersion;
    machine.rounds = rounds;
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; machine.cpu.empty() && std::getline(file, line);)
        if (line.starts_with("model name")) machine.cpu = line.substr(line.find(':') + 2);
    if (machine.cpu.empty()) machine.cpu = "unknown processor";
    utsname names{};
    ::uname(&names);
    machine.kernel = names.release;
    char date[32];
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::strftime(date, sizeof date, "%Y-%m-%d", &parts);
    machine.date = date;
    return machine;
}

}  // namespace cancelable::bench
