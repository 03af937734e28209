#include "cli/supervisor/program.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cli/config/config.h"
#include "cli/exit_status.h"
#include "cli/report.h"
#include "cli/supervisor/lock.h"
#include "cli/supervisor/log.h"
#include "cli/terminal/screen.h"
#include "cli/terminal/signals.h"
#include "engine/directories.h"
#include "engine/loop.h"
#include "engine/quantity.h"
#include "engine/supervisor.h"
#include "ipc/operations.h"
#include "ipc/server.h"
#include "ipc/service.h"
#include "ipc/socket.h"
#include "version.h"

namespace cancelable::cli {
namespace {

using std::chrono::milliseconds;

// How long a supervisor that leaves waits for hooks. Those of an end are left to the next one after that.
constexpr milliseconds kHookPatience{5000};

// Until a supervisor that would leave for being idle looks again whether its hooks are done.
constexpr milliseconds kHookPause{100};

// Where it runs and what it was told, before anything of it exists.
struct Plan {
    std::string socket;
    std::string runtime_directory;
    std::string state_directory;  // empty: none
    std::string log;              // empty: none
    std::string shim;
    Settings settings;
};

// Beside the program, else where the installation puts it.
Result<std::string> find_shim() {
    std::vector<std::string> places;
    if (const char* said = std::getenv("CANCELABLE_SHIM"); said != nullptr && said[0] != '\0') {
        places.emplace_back(said);
    } else {
        char path[PATH_MAX];
        const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
        const std::string own(path, length > 0 ? static_cast<std::size_t>(length) : 0);
        const std::string directory = parent_directory(own);
        places = {directory + "/cancelable-shim", directory + "/../libexec/cancelable/cancelable-shim",
                  std::string(kLibexecDirectory) + "/cancelable-shim"};
    }
    std::string looked;
    for (const std::string& place : places) {
        if (::access(place.c_str(), X_OK) == 0) return place;
        looked += fmt::format("{}\"{}\"", looked.empty() ? "" : ", ", place);
    }
    return failure(
        ErrorCode::not_found,
        fmt::format("there is no cancelable-shim at {}: set CANCELABLE_SHIM to where it is", looked));
}

Result<Plan> make_plan(const Globals& globals) {
    Plan plan;
    auto config = Config::load(globals.config);
    if (!config) return std::unexpected(config.error());
    plan.settings = config->settings();
    if (auto applied = apply_environment(plan.settings); !applied) return std::unexpected(applied.error());
    auto socket = globals.socket_path();
    if (!socket) return std::unexpected(socket.error());
    plan.socket = std::move(*socket);
    plan.runtime_directory = parent_directory(plan.socket);
    if (auto made = ensure_private_directory(plan.runtime_directory); !made)
        return std::unexpected(made.error());
    // Without a state directory there are no logs and no history, and commands run all the same. One that
    // cannot be made now may be some day.
    if (auto state = default_state_directory()) {
        plan.state_directory = *state;
        if (ensure_private_directory_tree(*state)) plan.log = *state + "/supervisor.log";
    }
    auto shim = find_shim();
    if (!shim) return std::unexpected(shim.error());
    plan.shim = std::move(*shim);
    return plan;
}

// Many operations are many descriptors, and the usual soft limit is for programs that use select().
void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// The parts, wired together. Members are in the order in which they need each other.
class Program {
public:
    Program(Plan plan, bool on_demand, SignalTokens& signals, SupervisorLog& log)
        : plan_(std::move(plan)),
          on_demand_(on_demand),
          signals_(signals),
          log_(log),
          log_turn_(loop_, [this] { log_transitions(); }),
          idle_timer_(loop_, [this] { begin_to_leave(); }),
          last_look_(loop_, [this] { leave_if_still_idle(); }),
          signal_watch_(loop_, signals.wake_fd(), [this](Readiness) { on_signal(); }) {}

    Result<> start();
    int run();

private:
    void on_transition(const Transition& transition);
    void say(std::string_view sentence);  // after what has happened by now
    void log_transitions();
    void on_signal();
    void cancel_all(bool now);
    void consider_leaving();
    Result<> listen();
    std::size_t connections() const noexcept;
    void consider_idling();
    void begin_to_leave();
    void leave_if_still_idle();
    void leave(std::string_view why);
    void await_hooks();

    Plan plan_;
    bool on_demand_;
    SignalTokens& signals_;
    SupervisorLog& log_;
    Loop loop_;
    Timer log_turn_;
    Timer idle_timer_;
    Timer last_look_;
    Watch signal_watch_;
    std::unique_ptr<Supervisor> supervisor_;
    std::unique_ptr<ipc::SupervisorOperations> operations_;
    std::unique_ptr<ipc::Service> service_;
    std::vector<std::unique_ptr<ipc::Server>> servers_;  // the last one listens
    Registry::Subscription subscription_;
    std::vector<Snapshot> unlogged_;  // their turn comes once those have been told who wait for them
    std::size_t unsettled_ = 0;       // operations that a signal asked to end
    bool shutting_down_ = false;
    bool hurried_ = false;
    int status_ = kExitOk;
};

Result<> Program::start() {
    Supervisor::Settings settings;
    settings.runtime_directory = plan_.runtime_directory;
    settings.state_directory = plan_.state_directory;
    settings.shim_path = plan_.shim;
    settings.socket_path = plan_.socket;
    settings.history_size = plan_.settings.history_size;
    settings.kept = {plan_.settings.history_keep, plan_.settings.history_keep_for};
    settings.warn = [this](const std::string& sentence) { log_.warn(sentence); };
    auto supervisor = Supervisor::create(loop_, std::move(settings));
    if (!supervisor) return std::unexpected(supervisor.error());
    supervisor_ = std::move(*supervisor);
    subscription_ =
        supervisor_->registry().subscribe([this](const Transition& step) { on_transition(step); });
    operations_ = std::make_unique<ipc::SupervisorOperations>(*supervisor_);

    ipc::Service::Settings service;
    service.socket_path = plan_.socket;
    service.log_path = plan_.log;
    service.stop = [this](ipc::StopParams::Mode) { leave("told to stop"); };
    service_ = std::make_unique<ipc::Service>(loop_, *operations_, std::move(service));

    if (auto listening = listen(); !listening) return listening;
    signal_watch_.want(true, false);
    log_.info(fmt::format("supervisor {} started, pid {}, listening at {}, {} operations adopted", kVersion,
                          ::getpid(), plan_.socket, supervisor_->registry().live_count()));
    consider_idling();
    return {};
}

Result<> Program::listen() {
    auto listener = ipc::listen_at(plan_.socket);
    if (!listener) return std::unexpected(listener.error());
    ipc::Server::Settings settings;
    settings.on_connections = [this](std::size_t) { consider_idling(); };
    servers_.push_back(
        std::make_unique<ipc::Server>(loop_, std::move(*listener), *service_, std::move(settings)));
    return {};
}

int Program::run() {
    loop_.run();
    await_hooks();
    log_transitions();
    // The socket goes first, so that a client that comes now starts a supervisor instead of talking to the
    // dead.
    ::unlink(plan_.socket.c_str());
    servers_.clear();
    service_.reset();
    return status_;
}

// Hooks of what has just ended. They may still ask us about it, so this is while we serve.
void Program::await_hooks() {
    bool out_of_patience = false;
    Timer patience(loop_, [&] { out_of_patience = true; });
    patience.start(kHookPatience);
    while (supervisor_->pending_hooks() > 0 && !out_of_patience && !hurried_)
        loop_.run_once(true);
}

void Program::on_transition(const Transition& transition) {
    const Status status = transition.after->status;
    const bool is_new = !transition.before || transition.before->status != status;
    // A line for each operation that goes well; `events` tells the rest.
    if (is_new && status >= Status::cancelling) {
        unlogged_.push_back(transition.after);
        if (!log_turn_.is_active()) log_turn_.start(milliseconds(0));
    }
    consider_idling();
}

void Program::say(std::string_view sentence) {
    log_transitions();
    log_.info(sentence);
}

void Program::log_transitions() {
    std::vector<std::string> sentences;
    for (const Snapshot& operation : std::exchange(unlogged_, {}))
        sentences.push_back(fmt::format("{}: {}{}{}", describe(*operation), to_string(operation->status),
                                        operation->error.empty() ? "" : ": ", operation->error));
    if (!sentences.empty()) log_.info(sentences);
}

void Program::on_signal() {
    signals_.drain();
    if (signals_.hurry().is_cancelled() && !hurried_) {
        hurried_ = true;
        say("hurried");
        cancel_all(true);
    } else if (signals_.polite().is_cancelled() && !shutting_down_) {
        shutting_down_ = true;
        say(fmt::format("shutting down: {} live operations", supervisor_->registry().live_count()));
        servers_.back()->stop_accepting();
        cancel_all(false);
    }
    consider_leaving();
}

void Program::cancel_all(bool now) {
    Selector all;
    all.all = true;
    CancelRequest request;
    request.reason = CancelationReason::shutdown;
    request.message = "the supervisor was told to end";
    request.by = {::getuid(), ::getpid()};
    request.now = now;
    const std::vector<OperationId> ids = supervisor_->cancel(all, request);
    // All are counted before the first can call back, which it may do at once.
    unsettled_ += ids.size();
    for (const OperationId id : ids) {
        supervisor_->when_settled(id, [this](const Snapshot& snapshot) {
            --unsettled_;
            if (snapshot && !is_ended(snapshot->status)) {
                log_transitions();
                log_.warn(describe_survivors(*snapshot));
                status_ = kExitSurvivors;
            }
            consider_leaving();
        });
    }
}

void Program::consider_leaving() {
    if (!shutting_down_ || unsettled_ > 0) return;
    // A client that was connected already may have started another one meanwhile.
    if (status_ == kExitOk && supervisor_->registry().live_count() > 0) {
        cancel_all(hurried_);
        if (unsettled_ > 0) return;
    }
    leave("all operations are gone");
}

std::size_t Program::connections() const noexcept {
    std::size_t sum = 0;
    for (const auto& server : servers_)
        sum += server->connections();
    return sum;
}

void Program::consider_idling() {
    if (!on_demand_ || plan_.settings.idle_exit.count() == 0) return;
    const bool idle = supervisor_->registry().live_count() == 0 && connections() == 0;
    if (!idle)
        idle_timer_.stop();
    else if (!idle_timer_.is_active())
        idle_timer_.start(plan_.settings.idle_exit);
}

// A client may have connected a moment ago and not have been accepted yet. So the socket's name goes first,
// and whoever is still let in after that is served: then there is a new socket, and nobody leaves.
void Program::begin_to_leave() {
    if (supervisor_->pending_hooks() > 0) {
        idle_timer_.start(std::max(plan_.settings.idle_exit, kHookPause));
        return;
    }
    ::unlink(plan_.socket.c_str());
    last_look_.start(milliseconds(10));
}

void Program::leave_if_still_idle() {
    if (supervisor_->registry().live_count() == 0 && connections() == 0) {
        leave("idle for long enough");
        return;
    }
    servers_.back()->stop_accepting();
    if (auto listening = listen(); !listening) log_.warn(listening.error().sentence());
}

void Program::leave(std::string_view why) {
    say(fmt::format("supervisor leaves: {}", why));
    // So that nobody who waits takes it for dead, and starts another at once.
    for (const auto& server : servers_)
        server->notify_all("supervisor.leaving", {{"live", supervisor_->registry().live_count()}});
    loop_.stop();
}

}  // namespace

int run_supervisor(const Globals& globals, const SupervisorProgramOptions& options) {
    UniqueFd ready(options.ready_fd);
    const auto answer = [&](const std::string& line) {
        (void)write_all(ready.get(), std::as_bytes(std::span(line)));
    };
    const auto fail = [&](const Error& error) {
        if (ready)
            answer(error.sentence() + "\n");
        else
            report_error(error.sentence());
        return error.code == ErrorCode::usage ? kExitUsage : kExitOwnFailure;
    };
    // Whatever it creates is for its owner alone.
    ::umask(077);
    raise_descriptor_limit();
    ::unsetenv("CANCELABLE_OPERATION_ID");  // NOLINT(concurrency-mt-unsafe): there is one thread yet
    auto plan = make_plan(globals);
    if (!plan) return fail(plan.error());
    const auto lock = SupervisorLock::take(plan->runtime_directory);
    if (!lock) return fail(lock.error());
    if (!*lock) {
        if (ready)
            answer("busy\n");
        else
            report_error(fmt::format("a supervisor is running already, pid {}",
                                     SupervisorLock::holder(plan->runtime_directory)));
        return kExitNothing;
    }
    auto signals = SignalTokens::install();
    if (!signals) return fail(signals.error());
    const bool watched = !ready && is_terminal(STDERR_FILENO);
    SupervisorLog log(plan->log, watched);
    Program program(std::move(*plan), options.on_demand, **signals, log);
    if (auto started = program.start(); !started) {
        log.warn(started.error().sentence());
        return fail(started.error());
    }
    if (ready) answer("ok\n");
    ready.reset();
    if (watched) report_notice(globals, "Ctrl-C cancels every operation and ends the supervisor");
    return program.run();
}

}  // namespace cancelable::cli
