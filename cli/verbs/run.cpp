#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "cli/caller.h"
#include "cli/config/config.h"
#include "cli/connect.h"
#include "cli/exit_status.h"
#include "cli/foreground.h"
#include "cli/lasting_connection.h"
#include "cli/options.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/terminal/modes.h"
#include "cli/terminal/signals.h"
#include "cli/verbs/verbs.h"
#include "engine/sources/expression.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// What the flags said, to be set on top of what the configuration and the environment say for the command's
// name.
struct Said {
    const Key* key;
    Value value;
};

std::string base_name(const std::string& path) {
    const auto end = path.find_last_not_of('/');
    if (end == std::string::npos) return path;
    const auto slash = path.rfind('/', end);
    return path.substr(slash == std::string::npos ? 0 : slash + 1,
                       end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

// Every flag comes from the table of keys, so that none of them lacks a default in the configuration.
void add_flags(Options& options, std::vector<Said>& said) {
    for (const Key& key : all_keys()) {
        if (key.section != "run") continue;
        const std::string names(key.flag);
        const std::string help(key.help);
        if (!key.placeholder.empty()) {
            options.value(names, std::string(key.placeholder), help,
                          [&said, &key](const std::string& text) -> Result<> {
                              Settings scratch;
                              if (auto set = key.set(scratch, text); !set) return set;
                              said.push_back({&key, text});
                              return {};
                          });
            continue;
        }
        options.flag(names, help, [&said, &key] { said.push_back({&key, true}); });
        // --no-log is in the contract; the others are for who has set them in the configuration.
        const std::string negative = "--no-" + names.substr(names.find("--") + 2);
        if (negative != "--no-log") options.group("");
        options.flag(negative, "they go where this command's go",
                     [&said, &key] { said.push_back({&key, false}); });
        options.group("Options");
    }
}

// Flags beat the environment, and that beats the file. The name comes first: the file's defaults may depend
// on it.
Result<RunSettings> settle(const Globals& globals, const std::vector<Said>& said,
                           const std::string& command) {
    const auto config = Config::load(globals.config);
    if (!config) return std::unexpected(config.error());
    const auto lay_on_top = [&said](Settings& settings) -> Result<> {
        if (auto applied = apply_environment(settings); !applied) return applied;
        for (const Said& flag : said)
            if (auto set = flag.key->set(settings, flag.value); !set) return set;
        return {};
    };
    Settings general = config->settings();
    if (auto laid = lay_on_top(general); !laid) return std::unexpected(laid.error());
    const std::string name = general.run.name.empty() ? base_name(command) : general.run.name;
    Settings settings = config->settings_for(name);
    if (auto laid = lay_on_top(settings); !laid) return std::unexpected(laid.error());
    settings.run.name = name;
    return settings.run;
}

std::string random_key() {
    std::uint64_t words[2] = {};
    // Where the kernel has none yet, early at boot, the time and the pid are different enough.
    if (::getrandom(words, sizeof words, GRND_NONBLOCK) != sizeof words) {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        words[0] = static_cast<std::uint64_t>(now.tv_sec) << 32 | static_cast<std::uint64_t>(now.tv_nsec);
        words[1] = static_cast<std::uint64_t>(::getpid());
    }
    return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

// A request with the descriptors that it names, which stay open as long as this lives.
struct Prepared {
    ipc::RunParams params;
    std::vector<int> descriptors;
    std::vector<UniqueFd> owned;
    UniqueFd lifeline;  // our end

    void pass(const char* meaning, int fd) {
        params.descriptors.emplace_back(meaning);
        descriptors.push_back(fd);
    }
    void pass(const char* meaning, UniqueFd fd) {
        pass(meaning, fd.get());
        owned.push_back(std::move(fd));
    }
};

Result<> pass_stdio(Prepared& prepared, const RunSettings& settings, unsigned closed) {
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

Result<Prepared> prepare(const Globals& globals, const RunSettings& settings, Words command) {
    Prepared prepared;
    ipc::RunParams& params = prepared.params;
    const auto socket = globals.socket_path();
    if (!socket) return std::unexpected(socket.error());

    params.launch = caller_settings(0);
    for (const auto& [key, value] : settings.env)
        set_variable(params.launch.environment, key, value);
    auto cwd = open_working_directory(settings.cwd);
    if (!cwd) return std::unexpected(cwd.error());

    OperationSpec& spec = params.spec;
    spec.name = settings.name;
    spec.command = std::move(command);
    spec.cwd = cwd->text;
    spec.tags = settings.tags;
    spec.detached = settings.detach;
    spec.timeout = settings.timeout;
    spec.grace = settings.grace;
    spec.signal = settings.signal;
    spec.orphans = settings.orphans;
    spec.cancel_on = settings.cancel_on;
    spec.pause_timeouts = settings.pause_timeouts;
    spec.hooks = settings.hooks;
    spec.key = random_key();
    params.operation_id = surrounding_operation(*socket);
    params.no_parent = settings.parent == "none";
    if (!settings.parent.empty() && !params.no_parent) spec.parent = parse_id(settings.parent).value_or(0);
    params.log = settings.logs();
    params.watch = !settings.detach;

    prepared.pass("cwd", std::move(cwd->fd));
    if (settings.detach) return prepared;
    if (auto passed = pass_stdio(prepared, settings, globals.closed_stdio); !passed)
        return std::unexpected(passed.error());
    if (settings.on_disconnect == OnDisconnect::cancel) {
        auto pipe = make_pipe();
        if (!pipe) return std::unexpected(pipe.error());
        prepared.pass("lifeline", std::move(pipe->read_end));
        prepared.lifeline = std::move(pipe->write_end);
    }
    return prepared;
}

int own_failure(const Error& error) {
    report_error(error.sentence());
    return kExitOwnFailure;
}

// Asks every next supervisor under the same key, where one is lost or about to leave: what was begun is never
// begun twice.
Result<json> submit(LastingConnection& connection, const Prepared& prepared) {
    const auto deadline = std::chrono::steady_clock::now() + kConnectPatience;
    for (;;) {
        auto answer = connection.ask(
            "operation.run", [&] { return ipc::encode(prepared.params); }, prepared.descriptors);
        if (answer || answer.error().code != ErrorCode::stopping) return answer;
        const auto left = deadline - std::chrono::steady_clock::now();
        const auto next = connection.await_next(std::chrono::duration_cast<std::chrono::milliseconds>(left));
        if (!next) return std::unexpected(next.error());
        if (!*next) return answer;
    }
}

Result<int> run_detached(const Globals& globals, const Prepared& prepared) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    const auto answer = submit(*connection, prepared);
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

Result<int> run_foreground(const Globals& globals, const Prepared& prepared, bool preserve_status) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    // From here on a signal is for the operation. Before, it ends this program, and nothing has been started.
    static constexpr int kPassedOn[] = {SIGUSR1, SIGUSR2, SIGWINCH};
    auto signals = SignalTokens::install(kPassedOn);
    if (!signals) return std::unexpected(signals.error());
    const TerminalModes modes(STDIN_FILENO);
    ProgressLine progress(STDERR_FILENO, prepared.params.spec.name, !globals.quiet);
    ipc::RunParams params = prepared.params;
    params.progress = progress.is_possible();
    Foreground foreground(
        std::move(*connection), **signals, progress, modes, [&] { return ipc::encode(params); },
        prepared.descriptors);
    const auto operation = foreground.run();
    progress.hide();
    if (!operation) return std::unexpected(operation.error());
    if (operation->cancelation) modes.restore();
    const Outcome outcome = outcome_of(*operation, preserve_status);
    if (!outcome.sentence.empty()) {
        if (outcome.is_error)
            report_error(outcome.sentence);
        else
            report_notice(globals, outcome.sentence);
    }
    return outcome.status;
}

}  // namespace

int verb_run(Globals globals, const Words& words) {
    Options options("run",
                    "Runs a command as an operation. However it is ended, all that it started is gone then.");
    options.example("cancelable run --timeout 10m make -j8",
                    "Ctrl-C, or ten minutes, end make and all that it started");
    options.example("cancelable run -d --name train --tag user=42 -- python train.py",
                    "starts it in the background, with a log, and prints its id");
    std::vector<Said> said;
    Words command;
    add_flags(options, said);
    add_globals(options, globals);
    options.command(command);
    if (const auto done = options.parse(words)) return *done;
    if (command.empty()) {
        report_error("run needs a command: cancelable run [OPTIONS] [--] COMMAND [ARG...]");
        return kExitUsage;
    }
    const auto settings = settle(globals, said, command.front());
    if (!settings)
        return settings.error().code == ErrorCode::usage ? report(settings.error())
                                                         : own_failure(settings.error());
    // Said here, where it is known which flag is missing. The supervisor settles them for itself.
    OperationSpec unsettled;
    unsettled.cancel_on = settings->cancel_on;
    if (const auto settled = settle_sources(unsettled, settings->logs()); !settled)
        return report(settled.error());
    const auto prepared = prepare(globals, *settings, std::move(command));
    if (!prepared) return own_failure(prepared.error());
    const auto status = settings->detach ? run_detached(globals, *prepared)
                                         : run_foreground(globals, *prepared, settings->preserve_status);
    if (status) return *status;
    // A parent that is not there is the caller's doing, as an unknown id is anywhere.
    return status.error().code == ErrorCode::not_found ? report(status.error()) : own_failure(status.error());
}

}  // namespace cancelable::cli
