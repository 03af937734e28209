#include "engine/side_command.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/outcome.h"
#include "engine/quantity.h"
#include "engine/shim_link.h"

namespace cancelable {
namespace {

// A shim's description needs an id. No operation ever has this one.
constexpr OperationId kNoOperation = std::numeric_limits<OperationId>::max();

// What a command writes beyond the bound is thrown away in portions of a pipe's size, so that a flood slows
// down the command and not the supervisor.
constexpr std::chrono::milliseconds kFloodPause{10};

void add_context(std::vector<std::string>& environment, const std::string& socket_path) {
    std::erase_if(environment, [](const std::string& variable) {
        return variable.starts_with("CANCELABLE_OPERATION_ID=") ||
               variable.starts_with("CANCELABLE_SOCKET=") || variable.starts_with("CANCELABLE_SIDE_COMMAND=");
    });
    environment.push_back("CANCELABLE_SOCKET=" + socket_path);
    environment.emplace_back("CANCELABLE_SIDE_COMMAND=1");
}

OperationSpec describe(const SideRequest& request) {
    OperationSpec spec;
    spec.id = kNoOperation;
    spec.name = request.name;
    spec.command = request.command;
    spec.cwd = request.cwd;
    spec.timeout = request.time_limit;
    spec.grace = request.grace;
    spec.created_at = wall_now();
    return spec;
}

SideOutcome outcome_of(const ShimReport& report) {
    // As for an operation, so that the two cannot come to different ends.
    Operation record;
    apply_report(record, report);
    SideOutcome outcome;
    if (!report.started) {
        outcome.kind = SideOutcome::Kind::not_started;
        outcome.error = record.error;
    } else if (report.cancelation) {
        outcome.kind = report.cancelation->reason == CancelationReason::timeout ? SideOutcome::Kind::timed_out
                                                                                : SideOutcome::Kind::stopped;
    } else {
        outcome.exit = record.exit.value_or(Exit{});
    }
    return outcome;
}

}  // namespace

std::string SideOutcome::clause(std::chrono::milliseconds time_limit) const {
    switch (kind) {
        case Kind::exited:
            return exit.by_signal ? "was ended by signal " + std::to_string(exit.value)
                                  : "exited with " + std::to_string(exit.value);
        case Kind::timed_out:
            return "took longer than " + format_duration(time_limit);
        case Kind::not_started:
            return "could not be started: " + error;
        case Kind::stopped:
            break;
    }
    return "was ended from outside";
}

struct SideCommands::Entry {
    SideRequest request;
    Done done;  // empty once called, or not wanted any more
    SideOutcome outcome;
    std::unique_ptr<ShimLink> link;
    UniqueFd lifeline;  // the end that the shim watches the other of
    UniqueFd output;
    std::unique_ptr<Watch> output_watch;
    std::unique_ptr<Timer> timer;  // for an outcome that is there at once, and between portions of a flood
};

SideCommands::SideCommands(Loop& loop, Launcher& launcher, Strays& strays, std::string socket_path)
    : loop_(loop), launcher_(launcher), strays_(strays), socket_path_(std::move(socket_path)) {}

SideCommands::~SideCommands() {
    const auto deadline = std::chrono::steady_clock::now() + kPartingPatience;
    for (const auto& [key, entry] : entries_) {
        abandon(*entry);
        // Without a channel nobody has to release the shim: it ends when its tree has.
        if (entry->link) entry->link->hang_up();
    }
    for (const auto& [key, entry] : entries_)
        if (entry->link) entry->link->await_end(deadline);
}

SideCommands::Handle::~Handle() {
    if (const auto entry = entry_.lock()) abandon(*entry);
}

SideCommands::Handle::Handle(Handle&& other) noexcept : entry_(std::exchange(other.entry_, {})) {}

SideCommands::Handle& SideCommands::Handle::operator=(Handle&& other) noexcept {
    // What was held goes with `old`: it may be the very one whose callback this is in.
    const Handle old(std::exchange(entry_, std::exchange(other.entry_, {})));
    return *this;
}

SideCommands::Handle SideCommands::start(SideRequest request, Done done) {
    const auto entry = std::make_shared<Entry>();
    entry->request = std::move(request);
    entry->done = std::move(done);
    entries_.emplace(entry.get(), entry);
    launch(entry);
    return Handle(entry);
}

void SideCommands::launch(const std::shared_ptr<Entry>& entry) {
    const auto give_up = [&](const Error& error) {
        entry->outcome = {.kind = SideOutcome::Kind::not_started, .error = error.sentence()};
        entry->timer = std::make_unique<Timer>(loop_, [this, raw = entry.get()] {
            const std::shared_ptr<Entry> held = entries_.at(raw);
            entries_.erase(raw);
            finish(*held, std::move(held->outcome));
        });
        entry->timer->start(std::chrono::milliseconds(0));
    };
    const SideRequest& request = entry->request;
    auto lifeline = make_pipe();
    if (!lifeline) return give_up(lifeline.error());
    Pipe output;
    if (request.capture > 0) {
        auto made = make_pipe();
        if (!made) return give_up(made.error());
        output = std::move(*made);
        if (::fcntl(output.read_end.get(), F_SETFL, O_NONBLOCK) != 0)
            return give_up(system_error("cannot prepare a pipe").error());
    }
    LaunchSettings settings;
    settings.environment = request.environment;
    add_context(settings.environment, socket_path_);
    auto shim = launcher_.launch_unlisted(describe(request), settings,
                                          {.stdio = {-1, output.write_end.get(), output.write_end.get()},
                                           .lifeline = lifeline->read_end.get()});
    if (!shim) return give_up(shim.error());

    entry->lifeline = std::move(lifeline->write_end);
    by_shim_.emplace(shim->process.pid, entry.get());
    entry->link = std::make_unique<ShimLink>(
        loop_, std::move(*shim),
        ShimLink::Callbacks{
            .reported = [this, raw = entry.get()](const ShimReport& report,
                                                  const UniqueFd&) { reported(*raw, report); },
            .gone = [this, raw = entry.get()] { shim_gone(entries_.at(raw)); }});
    if (!output.read_end) return;
    entry->output = std::move(output.read_end);
    entry->timer =
        std::make_unique<Timer>(loop_, [raw = entry.get()] { raw->output_watch->want(true, false); });
    entry->output_watch = std::make_unique<Watch>(loop_, entry->output.get(), [raw = entry.get()](Readiness) {
        read_output(*raw);
        if (!raw->output)
            raw->output_watch.reset();
        else if (raw->outcome.output_was_cut) {
            raw->output_watch->want(false, false);
            raw->timer->start(kFloodPause);
        }
    });
    entry->output_watch->want(true, false);
}

// At most a pipe's content: whoever writes faster than this reads would keep it here.
void SideCommands::read_output(Entry& entry) {
    char buffer[64 * 1024];
    const ssize_t got = retry_eintr([&] { return ::read(entry.output.get(), buffer, sizeof buffer); });
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        entry.output.reset();
        return;
    }
    std::string& kept = entry.outcome.output;
    const std::size_t room = entry.request.capture - kept.size();
    kept.append(buffer, std::min(static_cast<std::size_t>(got), room));
    if (static_cast<std::size_t>(got) > room) entry.outcome.output_was_cut = true;
}

void SideCommands::reported(Entry& entry, const ShimReport& report) {
    if (report.id != kNoOperation) return;  // the last words of what its shim guarded before
    // What may not be signalled cannot be waited for. Its shim stays until it is gone.
    if (!report.over && report.survivors.empty()) return;
    const std::shared_ptr<Entry> held = entries_.at(&entry);
    if (report.over) {
        held->lifeline.reset();
        held->link->release();
    }
    if (!held->done) return;
    // Nobody who wrote is left, so this is all of it. What does not fit in is cut off anyway.
    if (held->output) read_output(*held);
    held->output_watch.reset();
    held->output.reset();
    if (held->timer) held->timer->stop();
    SideOutcome outcome = outcome_of(report);
    outcome.output = std::move(held->outcome.output);
    outcome.output_was_cut = held->outcome.output_was_cut;
    finish(*held, std::move(outcome));
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): it outlives its places in the maps.
void SideCommands::shim_gone(std::shared_ptr<Entry> entry) {
    by_shim_.erase(entry->link->shim_pid());
    entry->output_watch.reset();
    entry->timer.reset();
    entries_.erase(entry.get());
    const bool was_over = !entry->lifeline;
    entry->link.reset();
    if (was_over) return;
    // Killed: its tree has fallen to this process.
    strays_.end([entry](const std::vector<pid_t>&) {
        finish(*entry, {.kind = SideOutcome::Kind::stopped,
                        .output = std::move(entry->outcome.output),
                        .output_was_cut = entry->outcome.output_was_cut});
    });
}

void SideCommands::finish(Entry& entry, SideOutcome outcome) {
    const Done done = std::exchange(entry.done, nullptr);
    if (done) done(std::move(outcome));
}

void SideCommands::abandon(Entry& entry) {
    entry.done = nullptr;
    entry.output_watch.reset();
    entry.output.reset();
    if (entry.timer && entry.link) entry.timer->stop();
    if (!entry.link) return;
    entry.link->send({.kind = ShimCommandKind::cancel, .uid = ::getuid(), .plan = {}});
    entry.link->wake_up();
}

std::size_t SideCommands::running() const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(entries_, [](const auto& entry) { return entry.second->done != nullptr; }));
}

}  // namespace cancelable
