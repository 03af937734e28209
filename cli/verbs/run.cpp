#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "cli/batch/run_batch.h"
#include "cli/caller.h"
#include "cli/connect.h"
#include "cli/exit_status.h"
#include "cli/foreground.h"
#include "cli/lasting_connection.h"
#include "cli/leave.h"
#include "cli/options.h"
#include "cli/prepared_run.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/run_flags.h"
#include "cli/terminal/modes.h"
#include "cli/terminal/signals.h"
#include "cli/verbs/verbs.h"
#include "engine/sources/expression.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

Result<> pass_stdio(PreparedRun& prepared, const RunSettings& settings, unsigned closed) {
    const auto passes = [&](int fd) { return (closed >> fd & 1) == 0; };
    if (passes(STDIN_FILENO)) {
        if (!stdin_is_somebody_elses())
            prepared.pass("stdin", STDIN_FILENO);
        else if (auto null = open_file("/dev/null", O_RDONLY))
            prepared.pass("stdin", std::move(*null));
        else
            return std::unexpected(null.error());
    }
    prepared.params.launch.closed_stdio = closed;
    if (settings.logs()) {
        // The log takes both places, whatever was there.
        prepared.params.launch.closed_stdio &= 1U;
        return {};
    }
    if (passes(STDOUT_FILENO)) prepared.pass("stdout", STDOUT_FILENO);
    if (passes(STDERR_FILENO)) prepared.pass("stderr", STDERR_FILENO);
    return {};
}

Result<PreparedRun> prepare(const Globals& globals, const RunSettings& settings, Words command) {
    auto prepared = prepare_run(globals, settings, std::move(command), Requests::one);
    if (!prepared || settings.detach) return prepared;
    if (auto passed = pass_stdio(*prepared, settings, globals.closed_stdio); !passed)
        return std::unexpected(passed.error());
    if (auto passed = pass_lifeline(*prepared, settings); !passed) return std::unexpected(passed.error());
    return prepared;
}

int usage_error(std::string_view sentence) {
    report_error(sentence);
    return kExitUsage;
}

int own_failure(const Error& error) {
    report_error(error.sentence());
    return kExitOwnFailure;
}

// Asks every next supervisor under the same key, where one is lost or about to leave: what was begun is never
// begun twice.
Result<json> submit(LastingConnection& connection, const PreparedRun& prepared) {
    const auto deadline = std::chrono::steady_clock::now() + kConnectPatience;
    for (;;) {
        auto answer = connection.ask_text(
            "operation.run", [&] { return ipc::encode(prepared.params); }, prepared.descriptors);
        if (answer || answer.error().code != ErrorCode::stopping) return answer;
        const auto left = deadline - std::chrono::steady_clock::now();
        const auto next = connection.await_next(std::chrono::duration_cast<std::chrono::milliseconds>(left));
        if (!next) return std::unexpected(next.error());
        if (!*next) return answer;
    }
}

Result<int> run_detached(const Globals& globals, const RunSettings& settings, Words command) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    const auto prepared = prepare(globals, settings, std::move(command));
    if (!prepared) return std::unexpected(prepared.error());
    const auto answer = submit(*connection, *prepared);
    if (!answer) return std::unexpected(answer.error());
    const auto operation = ipc::decode_operation(*answer);
    if (!operation) return std::unexpected(operation.error());
    // One that has begun has an id to go by, however it has ended meanwhile.
    if (operation->status == Status::failed && !operation->started_at) {
        const Outcome outcome = outcome_of(*operation, false);
        report_error(outcome.sentence);
        return outcome.status;
    }
    return print(fmt::format("{}\n", operation->id()));
}

// Leaves as the operation did; what it returns is what went wrong.
Error run_foreground(const Globals& globals, const RunSettings& settings, Words command) {
    // No supervisor is started to say that a directory is not there.
    if (!settings.cwd.empty())
        if (const auto cwd = open_working_directory(settings.cwd); !cwd) return cwd.error();
    // Then first of all: it takes the supervisor a moment to see who comes, and here there is enough to do.
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return connection.error();
    auto prepared = prepare(globals, settings, std::move(command));
    if (!prepared) return prepared.error();
    // From here on a signal is for the operation. Before, it ends this program, and nothing has been started.
    static constexpr int kPassedOn[] = {SIGUSR1, SIGUSR2, SIGWINCH};
    auto signals = SignalTokens::install(kPassedOn);
    if (!signals) return signals.error();
    const TerminalModes modes(STDIN_FILENO);
    ProgressLine progress(STDERR_FILENO, prepared->params.spec.name, !globals.quiet);
    prepared->params.progress = progress.is_possible();
    prepared->params.brief = true;
    Foreground foreground(
        std::move(*connection), **signals, progress, modes, [&] { return ipc::encode(prepared->params); },
        prepared->descriptors);
    const auto operation = foreground.run();
    progress.hide();
    if (!operation) return operation.error();
    if (operation->cancelation) modes.restore();
    const Outcome outcome = outcome_of(*operation, settings.preserve_status);
    if (!outcome.sentence.empty()) {
        if (outcome.is_error)
            report_error(outcome.sentence);
        else
            report_notice(globals, outcome.sentence);
    }
    leave(outcome.status);
}

// A parent that is not there is the caller's doing, as an unknown id is anywhere.
int report_run(const Error& error) {
    return error.code == ErrorCode::not_found ? report(error) : own_failure(error);
}

}  // namespace

int verb_run(Globals globals, const Words& words) {
    Options options("run",
                    "Runs a command as an operation. However it is ended, all that it started is gone then.");
    options.example("cancelable run --timeout 10m make -j8",
                    "Ctrl-C, or ten minutes, end make and all that it started");
    options.example("cancelable run -d --name train --tag user=42 -- python train.py",
                    "starts it in the background, with a log, and prints its id");
    options.example("ls *.wav | cancelable run --batch - -j4 -- lame {} mp3/{.}.mp3",
                    "each line an operation, four at a time; Ctrl-C ends all of them");
    RunFlags flags;
    BatchInput batch;
    Words command;
    flags.declare(options);
    options.group("With --batch");
    options.text("--batch", "FILE|-", "each line is a command, or {} in COMMAND, and an operation of its own",
                 batch.path);
    options.flag("-0,--null", "what is read ends with zero bytes instead of lines", batch.null_separated);
    options.group("Options");
    add_globals(options, globals);
    options.command(command);
    if (const auto done = options.parse(words)) return *done;
    if (const auto loaded = flags.load(globals); !loaded) return own_failure(loaded.error());
    if (!batch.path.empty()) {
        if (flags.was_said("run", "detach"))
            return usage_error("--detach and --batch exclude each other: a batch is waited for");
        return run_batch(globals, flags, batch, std::move(command));
    }
    if (batch.null_separated || flags.was_said("batch", "jobs") || flags.was_said("batch", "keep_order") ||
        flags.was_said("batch", "halt"))
        return usage_error("--jobs, --keep-order, --halt and --null are for --batch FILE");
    if (command.empty()) {
        report_error("run needs a command: cancelable run [OPTIONS] [--] COMMAND [ARG...]");
        return kExitUsage;
    }
    const auto settled = flags.settings_for(command.front());
    if (!settled)
        return settled.error().code == ErrorCode::usage ? report(settled.error())
                                                        : own_failure(settled.error());
    const RunSettings* settings = &settled->run;
    // Said here, where it is known which flag is missing. The supervisor settles them for itself.
    OperationSpec unsettled;
    unsettled.cancel_on = settings->cancel_on;
    if (const auto sources = settle_sources(unsettled, settings->logs()); !sources)
        return report(sources.error());
    if (!settings->detach) return report_run(run_foreground(globals, *settings, std::move(command)));
    const auto status = run_detached(globals, *settings, std::move(command));
    return status ? *status : report_run(status.error());
}

}  // namespace cancelable::cli
