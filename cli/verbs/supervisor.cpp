#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "cli/caller.h"
#include "cli/connect.h"
#include "cli/nearest.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/start_supervisor.h"
#include "cli/supervisor/program.h"
#include "cli/verbs/verbs.h"
#include "engine/directories.h"
#include "engine/quantity.h"
#include "ipc/requests.h"
#include "ipc/socket.h"

namespace cancelable::cli {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

// How long a supervisor may take from its last answer to its end, and a new one to get its lock.
constexpr std::chrono::seconds kPatience{10};

int run(Globals globals, const Words& words) {
    Options options("supervisor run",
                    "Runs the supervisor in the foreground. Ctrl-C cancels every operation and ends it.");
    options.example("cancelable supervisor run", "until Ctrl-C; its log is shown beside");
    SupervisorProgramOptions program;
    std::optional<std::size_t> ready_fd;
    options.group("");
    options.flag("--on-demand", "leave when idle", program.on_demand);
    options.count("--ready-fd", "where to say that it is ready", ready_fd);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (ready_fd) program.ready_fd = static_cast<int>(*ready_fd);
    return run_supervisor(globals, program);
}

Result<> start_and_wait(const Globals& globals) {
    const auto socket = globals.socket_path();
    if (!socket) return std::unexpected(socket.error());
    if (surrounding_operation(*socket) != 0)
        return failure(ErrorCode::refused,
                       "this is part of an operation, and a supervisor that is started here would end with "
                       "it: start it from outside");
    if (auto made = ensure_private_directory(parent_directory(*socket)); !made) return made;
    const auto deadline = Clock::now() + kPatience;
    for (;;) {
        const auto started = start_supervisor({*socket, globals.named_config(), false});
        if (!started) return std::unexpected(started.error());
        if (*started == Started::ready) return {};
        if (*started == Started::died) return failure(ErrorCode::unreachable, kDiedEarly);
        // The one that holds the lock is up already, or is about to leave.
        if (auto client = connect_to_supervisor(globals, WhenAbsent::fail)) return {};
        if (Clock::now() > deadline)
            return failure(ErrorCode::unreachable,
                           "another supervisor holds the lock and does not listen: end it and try again");
        (void)::poll(nullptr, 0, 20);
    }
}

// The process at the other end, where that is the supervisor and nobody who passes messages on.
UniqueFd process_of(ipc::Client& client) {
    auto peer = ipc::peer_process(client.fd());
    const auto hello = client.call("supervisor.hello", json::object());
    if (!peer || !hello || hello->value("pid", pid_t{0}) != peer->pid) return {};
    return std::move(peer->pidfd);
}

// Returns once the supervisor has left altogether: after the connection it closes its history.
void wait_until_gone(ipc::Client& client, int pidfd) {
    const auto deadline = Clock::now() + kPatience;
    const auto wait_for = [&](int fd) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        pollfd watched{fd, POLLIN, 0};
        (void)::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    };
    for (auto message = client.receive(); message && Clock::now() < deadline; message = client.receive())
        if (!*message) wait_for(client.fd());
    if (pidfd >= 0) wait_for(pidfd);
}

Result<json> stop_running(const Globals& globals, ipc::StopParams::Mode mode) {
    auto client = connect_to_supervisor(globals, WhenAbsent::fail);
    if (!client) return std::unexpected(client.error());
    const UniqueFd supervisor = process_of(*client);
    auto answer = client->call("supervisor.stop", ipc::encode(ipc::StopParams{mode}));
    if (answer) wait_until_gone(*client, supervisor.get());
    return answer;
}

int start(Globals globals, const Words& words) {
    Options options("supervisor start",
                    "Starts a supervisor in the background, which stays until it is stopped.");
    options.example("cancelable supervisor start", "does nothing where one is running");
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (connect_to_supervisor(globals, WhenAbsent::fail)) {
        report_notice(globals, "a supervisor is running already");
        return kExitOk;
    }
    const auto started = start_and_wait(globals);
    return started ? kExitOk : report(started.error());
}

// `what` is for the sentences of the help.
std::optional<int> parse_stop(const std::string& name, const std::string& summary, Globals& globals,
                              const Words& words, ipc::StopParams::Mode& mode) {
    Options options(name, summary);
    const std::string with_cancel = "cancelable " + name + " --cancel";
    const std::string with_keep = "cancelable " + name + " --keep";
    options.example(with_cancel, "ends every operation first");
    options.example(with_keep, "they run on, and the next supervisor adopts them");
    bool cancel = false;
    bool keep = false;
    options.flag("--cancel", "cancel every live operation first", cancel);
    options.flag("--keep", "let live operations run on", keep);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return done;
    if (cancel && keep) {
        report_error("--cancel and --keep exclude each other");
        return kExitUsage;
    }
    if (cancel) mode = ipc::StopParams::Mode::cancel;
    if (keep) mode = ipc::StopParams::Mode::keep;
    return std::nullopt;
}

// The way out is told in the words of the command line.
int report_stop(const Error& error) {
    if (error.code != ErrorCode::refused) return report(error);
    const std::string sentence = error.sentence();
    report_error(sentence.substr(0, sentence.find(": ")) +
                 ": say --cancel to end them first, or --keep to let them run on");
    return kExitNothing;
}

int stop(Globals globals, const Words& words) {
    auto mode = ipc::StopParams::Mode::refuse;
    if (const auto done =
            parse_stop("supervisor stop",
                       "Stops the supervisor. With live operations it needs to be told what becomes of them.",
                       globals, words, mode))
        return *done;
    const auto answer = stop_running(globals, mode);
    if (!answer) return report_stop(answer.error());
    if (const auto cancelled = answer->value("cancelled", 0); cancelled > 0)
        report_notice(globals, fmt::format("{} operation{} cancelled", cancelled, cancelled == 1 ? "" : "s"));
    return kExitOk;
}

int restart(Globals globals, const Words& words) {
    auto mode = ipc::StopParams::Mode::keep;
    if (const auto done = parse_stop("supervisor restart",
                                     "Stops the supervisor and starts another one. Live operations run on.",
                                     globals, words, mode))
        return *done;
    const auto answer = stop_running(globals, mode);
    // None there: then a start is all that is left to do.
    if (!answer && answer.error().code != ErrorCode::unreachable) return report_stop(answer.error());
    const auto started = start_and_wait(globals);
    return started ? kExitOk : report(started.error());
}

// A line for the file, and one for each trouble with it.
std::string history_text(const json& status) {
    const json history = status.value("history", json());
    if (!history.is_object()) return "no history: there is no state directory\n";
    const auto text = [&](const char* name) {
        const auto found = history.find(name);
        return found != history.end() && found->is_string() ? printable(found->get<std::string>())
                                                            : std::string();
    };
    std::string lines = fmt::format("history {}\n", text("path"));
    if (const std::string trouble = text("trouble"); !trouble.empty())
        lines += fmt::format("history is {}: {}; {} operations wait to be written\n", text("state"), trouble,
                             history.value("waiting", std::uint64_t{0}));
    if (const std::string aside = text("set_aside"); !aside.empty())
        lines += fmt::format("history was damaged: it is kept as {}, and a new one was begun\n", aside);
    return lines;
}

int status(Globals globals, const Words& words) {
    Options options("supervisor status", "Says how the supervisor is; 125 where none is running.");
    options.example("cancelable supervisor status --json", "for a program");
    bool as_json = false;
    options.flag("--json", "for a program", as_json);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    auto client = connect_to_supervisor(globals, WhenAbsent::fail);
    if (!client) return report(client.error());
    const auto answer = client->call("supervisor.status", json::object());
    if (!answer) return report(answer.error());
    if (as_json) return print_json(*answer);
    const auto up = std::chrono::microseconds(static_cast<std::int64_t>(answer->value("uptime", 0.0) * 1e6));
    return print(fmt::format(
        "running, pid {}, version {}, up {}\n{} live operations, {} of memory\nsocket {}\nlog {}\n{}",
        answer->value("pid", 0), answer->value("version", std::string("?")), format_duration(up),
        answer->value("live", 0), format_size(answer->value("rss", std::uint64_t{0})),
        printable(answer->value("socket", std::string("?"))),
        printable(answer->value("log", std::string("?"))), history_text(*answer)));
}

struct Action {
    std::string_view name;
    int (*perform)(Globals globals, const Words& words);
};

constexpr std::array kActions{Action{"run", run}, Action{"start", start}, Action{"stop", stop},
                              Action{"restart", restart}, Action{"status", status}};

}  // namespace

int verb_supervisor(Globals globals, const Words& words) {
    const std::string action = words.empty() ? "" : words.front();
    for (const Action& known : kActions)
        if (known.name == action)
            return known.perform(std::move(globals), Words(words.begin() + 1, words.end()));
    if (action.empty() || action.starts_with('-')) {
        Options options("supervisor run|start|stop|restart|status",
                        "The supervisor. It is started by itself when it is needed.");
        options.example("cancelable supervisor status", "how it is, and where its socket and its log are");
        options.example("cancelable supervisor stop --cancel", "ends every operation, and then itself");
        add_globals(options, globals);
        if (const auto done = options.parse(words)) return *done;
        report_error("supervisor needs one of run, start, stop, restart and status");
        return kExitUsage;
    }
    std::vector<std::string_view> names;
    for (const Action& known : kActions)
        names.push_back(known.name);
    report_error(fmt::format("supervisor has no {}{}", in_quotes(action), did_you_mean(action, names)));
    return kExitUsage;
}

}  // namespace cancelable::cli
