#include "cli/batch/run_batch.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/batch/bar.h"
#include "cli/batch/batch.h"
#include "cli/batch/commands.h"
#include "cli/batch/printer.h"
#include "cli/batch/report.h"
#include "cli/batch/requests.h"
#include "cli/batch/schedule.h"
#include "cli/batch/slots.h"
#include "cli/batch/spool.h"
#include "cli/batch/template.h"
#include "cli/caller.h"
#include "cli/lasting_connection.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/terminal/progress_line.h"
#include "cli/terminal/signals.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

// Descriptors that are not for output.
constexpr rlim_t kOtherDescriptors = 64;

// How many outputs may wait for one that comes before them.
constexpr std::size_t kMostWaiting = 4096;

int fail(const Error& error) {
    report_error(error.sentence());
    return error.code == ErrorCode::usage ? kExitUsage : kExitOwnFailure;
}

Result<UniqueFd> open_input(const std::string& path) {
    if (path != "-") return open_file(path.c_str(), O_RDONLY | O_NOCTTY);
    UniqueFd input(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!input) return system_error("cannot read the standard input");
    return input;
}

// Of a file; what comes through a pipe has none that could be told.
std::optional<std::uint64_t> size_of(const UniqueFd& input) {
    struct stat status{};
    if (::fstat(input.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(status.st_size);
}

// As many descriptors as this process may have; says how many operations can have their output in files then.
std::size_t raise_limit_of_files(rlimit files) {
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = files.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0) files.rlim_cur = before;
    const rlim_t most = std::min<rlim_t>(files.rlim_cur, 1 << 20);
    return most > kOtherDescriptors ? static_cast<std::size_t>(most - kOtherDescriptors) / 2 : 0;
}

// Takes no processor from a command that runs, where it has only to say what comes after the next. What it
// starts itself, as another supervisor, is as it was. Where that is not allowed it is as quick as the others.
void give_way() noexcept {
    const sched_param unchanged{};
    if (::sched_getscheduler(0) == SCHED_OTHER)
        static_cast<void>(::sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &unchanged));
}

}  // namespace

int run_batch(const Globals& globals, const RunFlags& flags, const BatchInput& input, Words command) {
    const std::string first = command.empty() ? "sh" : command.front();
    const auto settings = flags.settings_for(first);
    if (!settings) return fail(settings.error());
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return fail(system_error("cannot ask for limits").error());
    BatchSlots slots;  // Given up after the lifeline, which `requests` has.
    BatchRequests requests(globals, flags, files);
    // What is wrong with the flags is said before anything is read.
    if (const auto common = requests.common_for(first); !common) return fail(common.error());
    const std::size_t jobs = settings->batch.jobs.of(processors());
    const std::size_t spools = raise_limit_of_files(files);
    if (jobs > spools && !settings->run.logs())
        return fail({ErrorCode::limit,
                     fmt::format("--jobs {} needs {} open files, and {} are allowed: see ulimit -n", jobs,
                                 2 * jobs + kOtherDescriptors, 2 * spools + kOtherDescriptors),
                     0});
    auto source = open_input(input.path);
    if (!source) return fail(source.error());

    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return fail(connection.error());
    const auto socket = globals.socket_path();
    const ipc::CurrentParams current{socket ? surrounding_operation(*socket) : 0};
    const auto around = connection->ask("operation.current", [&] { return ipc::encode(current); });
    if (around) requests.know_parent(around->is_object() ? around->value("id", OperationId{0}) : 0);

    // From here on a signal is for the batch. Before, it ends this program, and nothing has been started.
    static constexpr int kPassedOn[] = {SIGUSR1, SIGUSR2, SIGWINCH};
    const auto signals = SignalTokens::install(kPassedOn);
    if (!signals) return fail(signals.error());

    Commands commands(source->get(), {input.null_separated, std::move(command)});
    SpoolPool pool(temporary_directory(), std::min(spools, jobs + kMostWaiting));
    // One at a time end in the order of the input, and the next may have begun before we hear of an end.
    Printer printer(pool, STDOUT_FILENO, STDERR_FILENO, settings->batch.keep_order || jobs == 1);
    // Not where the end of one decides on the next, nor where a command is told its slot; nor where it is the
    // supervisor that knows the end, since it waits for operations that the command has started.
    const bool starts_ahead = jobs <= kMostSlots && 2 * jobs + kOtherDescriptors <= spools &&
                              settings->batch.halt.when == Halt::When::never &&
                              settings->run.orphans != Orphans::wait && !commands.names_slot() &&
                              !Template({settings->run.name}).takes_slot();
    if (starts_ahead) slots = BatchSlots(jobs);
    requests.use_slots(slots.pipe());
    if (slots.ahead() > 0) give_way();
    Schedule schedule(jobs, slots.ahead(), settings->batch.halt);
    ProgressLine line(STDERR_FILENO, {}, !globals.quiet);
    BatchBar bar(line, commands, size_of(*source));
    BatchPausing pausing(*connection, (*signals)->wake_fd());
    Batch batch({globals, *connection, **signals, commands, requests, pool, printer, schedule, bar, pausing,
                 slots, jobs});
    const auto start = std::chrono::steady_clock::now();
    const auto ended = batch.run();
    bar.hide();
    if (!ended && ended.error().os_errno == EPIPE) return 128 + SIGPIPE;
    if (!ended) report_error(ended.error().sentence());
    report_notice(globals,
                  batch_summary(schedule.tally(), std::chrono::duration_cast<std::chrono::microseconds>(
                                                      std::chrono::steady_clock::now() - start)));
    if (!ended) return kExitOwnFailure;
    if ((*signals)->polite().is_cancelled()) return 128 + (*signals)->polite_signal();
    return schedule.exit_status();
}

}  // namespace cancelable::cli
