// What sources of cancelation cost while nothing happens: source-cost [--operations N] [--seconds N].
//
// Each operation has three: silence of its log, memory of its tree, and a file. First a cancel is timed
// beside one such operation, then N more are started, the supervisor's processor time is read over some
// seconds, and a cancel is timed again.
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "engine/process/fd.h"

extern char** environ;

namespace {

using Words = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

const std::string kProgram = CANCELABLE_PROGRAMS "/cancelable";
const std::string kSources =
    " --cancel-on idle:1h --cancel-on rss:64G,for=5s --cancel-on file:/cancelable-bench-never";

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "source-cost: %s\n", why.c_str());
    std::exit(1);
}

// Runs a line of shell and returns what it writes.
std::string shell(const std::string& line) {
    auto pipe = cancelable::make_pipe();
    if (!pipe) give_up(pipe.error().sentence());
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe->write_end.get(), STDOUT_FILENO);
    const char* const words[] = {"sh", "-c", line.c_str(), nullptr};
    pid_t pid = 0;
    if (::posix_spawn(&pid, "/bin/sh", &actions, nullptr, const_cast<char* const*>(words), environ) != 0)
        give_up("cannot start a shell");
    posix_spawn_file_actions_destroy(&actions);
    pipe->write_end.reset();
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(pipe->read_end.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid || status != 0) give_up("this failed: " + line);
    while (text.ends_with('\n'))
        text.pop_back();
    return text;
}

std::string start_one() {
    return shell(kProgram + " run -d" + kSources + " -- sleep 100000");
}

// Microseconds from the start of `cancel` to its end, the median of some.
double time_of_cancel(int rounds) {
    std::vector<double> times;
    for (int i = 0; i < rounds; ++i) {
        const std::string id = start_one();
        const auto start = Clock::now();
        shell(kProgram + " cancel " + id + " >/dev/null");
        times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

double cpu_seconds(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    std::istringstream fields(line.substr(line.rfind(')') + 2));
    std::string skipped;
    for (int field = 3; field < 14; ++field)
        fields >> skipped;
    long user = 0;
    long system = 0;
    if (!(fields >> user >> system)) give_up("cannot read the supervisor's time");
    return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

pid_t supervisor() {
    const std::string stats = shell(kProgram + " stats --json");
    const auto at = stats.find("\"pid\"", stats.find("\"supervisor\""));
    if (at == std::string::npos) give_up("no supervisor in " + stats);
    return static_cast<pid_t>(std::atol(stats.c_str() + stats.find(':', at) + 1));
}

int number_after(const std::string& option, int argc, char** argv, int fallback) {
    for (int i = 1; i + 1 < argc; ++i)
        if (option == argv[i]) return std::max(1, std::atoi(argv[i + 1]));
    return fallback;
}

}  // namespace

int main(int argc, char** argv) {
    const int operations = number_after("--operations", argc, argv, 2000);
    const int seconds = number_after("--seconds", argc, argv, 20);
    char name[] = "/tmp/cancelable-bench.XXXXXX";
    if (::mkdtemp(name) == nullptr) give_up("cannot make a temporary directory");
    const std::string directory = name;
    for (const char* variable : {"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"}) {
        const std::string path = directory + "/" + variable;
        ::mkdir(path.c_str(), 0700);
        ::setenv(variable, path.c_str(), 1);
    }
    ::unsetenv("CANCELABLE_SOCKET");
    ::unsetenv("CANCELABLE_OPERATION_ID");

    constexpr int kRounds = 31;
    start_one();
    const double alone = time_of_cancel(kRounds);
    shell("i=1; while [ $i -lt " + std::to_string(operations) + " ]; do " + kProgram + " run -d" + kSources +
          " -- sleep 100000 >/dev/null || exit 1; i=$((i+1)); done");
    const pid_t pid = supervisor();
    ::sleep(5);  // What starting them has left to be done is done.
    const double before = cpu_seconds(pid);
    ::sleep(static_cast<unsigned>(seconds));
    const double used = 100 * (cpu_seconds(pid) - before) / seconds;
    const double among = time_of_cancel(kRounds);

    std::printf("%d operations with three sources each, over %d s\n\n", operations, seconds);
    std::printf("%-44s %8.2f %%   at most 5     %s\n", "supervisor while nothing happens, of one core", used,
                used < 5 ? "met" : "MISSED");
    std::printf("%-44s %8.0f us\n", "cancel beside one operation", alone);
    std::printf("%-44s %8.0f us\n", "cancel among all of them", among);
    std::printf("%-44s %8.2f     at most 2     %s\n", "ratio", among / alone,
                among / alone < 2 ? "met" : "MISSED");
    shell(kProgram + " -q supervisor stop --cancel >/dev/null");
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    return used < 5 && among / alone < 2 ? 0 : 1;
}
