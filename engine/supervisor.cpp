#include "engine/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "engine/adoption.h"
#include "engine/ancestry.h"
#include "engine/bridge.h"
#include "engine/clearing.h"
#include "engine/directories.h"
#include "engine/event_recorder.h"
#include "engine/families.h"
#include "engine/hooks.h"
#include "engine/ids.h"
#include "engine/kill_point.h"
#include "engine/launcher.h"
#include "engine/left_trees.h"
#include "engine/notes.h"
#include "engine/outcome.h"
#include "engine/pausing.h"
#include "engine/run_keys.h"
#include "engine/shim/acceptance.h"
#include "engine/shim_link.h"
#include "engine/side_command.h"
#include "engine/sources/expression.h"
#include "engine/sources/operation_sources.h"
#include "engine/strays.h"

namespace cancelable {
namespace {

// How long a new supervisor waits for the shims of its predecessor to report themselves before it serves
// clients.
constexpr std::chrono::seconds kAdoptionPatience{2};

constexpr std::chrono::seconds kPartingPatience{1};

bool is_settled(const Operation& operation) {
    return is_ended(operation.status) || (operation.cancelation && !operation.cancelation->survivors.empty());
}

// What the command finds in its environment beside the caller's own.
void add_context(std::vector<std::string>& environment, OperationId id, const std::string& socket_path) {
    constexpr std::string_view kId = "CANCELABLE_OPERATION_ID=";
    constexpr std::string_view kSocket = "CANCELABLE_SOCKET=";
    std::erase_if(environment, [&](const std::string& variable) {
        return variable.starts_with(kId) || variable.starts_with(kSocket);
    });
    environment.push_back(std::string(kId) + std::to_string(id));
    environment.push_back(std::string(kSocket) + socket_path);
}

// Those of its children: its own tree has none.
void add_survivors(Operation& operation, std::vector<pid_t> survivors) {
    if (!operation.cancelation) return;
    auto cancelation = std::make_shared<Cancelation>(*operation.cancelation);
    cancelation->survivors = std::move(survivors);
    operation.cancelation = std::move(cancelation);
}

constexpr const char* kShimKilled = "its shim was killed";

std::string with_survivors(std::string why, const std::vector<pid_t>& survivors) {
    for (std::size_t i = 0; i < survivors.size(); ++i)
        why += (i == 0 ? "; still alive and not ours to signal: " : ", ") + std::to_string(survivors[i]);
    return why;
}

StopPlan plan_for(const OperationSpec& spec, const CancelRequest& request) {
    const int signal = request.signal.value_or(spec.signal);
    if (request.now || signal == SIGKILL) return {};
    return {{signal, request.grace.value_or(spec.grace)}};
}

}  // namespace

class Supervisor::Impl {
public:
    Impl(Loop& loop, Settings settings, UniqueFd operations, UniqueFd runtime, UniqueFd state,
         ShimLauncher launcher);
    ~Impl();

    Result<Snapshot> run(RunRequest request);
    std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request);
    std::vector<OperationId> signal(const Selector& selector, int number, bool tree, const Requester& by);
    Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder);
    std::uint64_t when_settled(OperationId id, Settled callback);
    void forget(std::uint64_t number) noexcept;
    void when_recorded(OperationId id, std::function<void()> done);
    Result<> adopt();

    Registry registry_;
    EventLog events_;
    std::optional<History> history_;
    std::function<void(const Transition&)> listener_;
    Ancestry ancestry_;
    Pausing pausing_;
    Notes& notes() noexcept { return notes_; }
    const Hooks& hooks() const noexcept { return hooks_; }

private:
    struct Live {
        std::unique_ptr<ShimLink> link;
        bool cancel_sent = false;
        LoopBridge::TokenWatch token;
    };
    std::unique_ptr<Store> make_store();
    Result<UniqueFd> open_log(OperationSpec& spec) const;
    void take_in(const OperationSpec& spec, std::unique_ptr<ShimLink> link);
    ShimLink::Callbacks callbacks_for(OperationId id);
    void cancel_one(OperationId id, const CancelRequest& request, std::vector<OperationId>& cancelled);
    void cancel_children(OperationId parent, const CancelRequest& request,
                         std::vector<OperationId>& cancelled);
    void token_cancelled(OperationId id);
    void reported(OperationId id, const ShimReport& report, UniqueFd description);
    void send(OperationId id, const ShimCommand& command);
    void finish(OperationId id, const ShimReport& report);
    void keep_record(OperationId id, const ShimReport& report);
    void over(OperationId id, const ShimReport& report);
    void recorded(OperationId id);
    void shim_gone(OperationId id);
    void lose(OperationId id, const std::string& why, HistoryWriter::Source source = {});
    void ask_history(const std::vector<LeftOperation>& left);
    void recovered(const Unended& unended);
    void adopt_one(Adoption::Adopted adopted);
    void adopt_record(OperationId id, const ExitRecord& record);
    void cascade(OperationId id);
    void end_left_tree(OperationId id, const std::string& why);
    bool change(OperationId id, const std::function<void(Operation&)>& edit,
                const ShimReport* report = nullptr);
    void warn(const std::string& sentence) const {
        if (settings_.warn) settings_.warn(sentence);
    }

    Loop& loop_;
    Settings settings_;
    UniqueFd operations_;  // the directory of channels and exit records
    UniqueFd runtime_;
    UniqueFd state_;
    std::unique_ptr<Store> store_;
    HistoryWriter history_writer_;
    std::optional<Retention> retention_;
    IdSource ids_;
    ShimLauncher launcher_;
    std::map<OperationId, Live> live_;
    std::unordered_set<OperationId> unheard_;  // adopted, and their shims have not described themselves yet
    std::optional<Adoption> adoption_;         // while it is going on
    std::optional<Unended> remembered_;        // likewise: what the history knows of what is left
    std::map<OperationId, std::unique_ptr<ShimLink>> adopting_;            // until their first report
    std::unordered_map<OperationId, std::unique_ptr<ShimLink>> over_;      // until their end is recorded
    std::unordered_map<OperationId, std::unique_ptr<ShimLink>> released_;  // until their shim is reaped
    std::unordered_set<pid_t> shims_;                                      // our children
    std::map<std::pair<OperationId, std::uint64_t>, Settled>
        waiting_;  // by operation, then in order of asking
    std::unordered_map<std::uint64_t, OperationId> waited_for_;
    std::uint64_t next_waiting_ = 1;
    EventRecorder recorder_{events_};
    Notes notes_;
    Clearing clearing_;
    RunKeys keys_;
    Strays strays_;
    SideCommands side_commands_;
    Hooks hooks_;
    OperationSources sources_;
    Families families_;
    LoopBridge bridge_;
    LeftTrees left_trees_;
};

Supervisor::Impl::Impl(Loop& loop, Settings settings, UniqueFd operations, UniqueFd runtime, UniqueFd state,
                       ShimLauncher launcher)
    : registry_({.history_size = settings.history_size}),
      pausing_(registry_, [this](OperationId id, const ShimCommand& command) { send(id, command); }),
      loop_(loop),
      settings_(std::move(settings)),
      operations_(std::move(operations)),
      runtime_(std::move(runtime)),
      state_(std::move(state)),
      store_(make_store()),
      history_writer_(loop, {.store = store_.get(),
                             .operations_directory = operations_.get(),
                             .warn = settings_.warn,
                             .clear =
                                 [this](OperationId id) {
                                     if (store_)
                                         remove_traces(operations_.get(), id);
                                     else
                                         clearing_.later(id);
                                 }}),
      ids_(runtime_.get(), state_.get()),
      launcher_(std::move(launcher)),
      notes_(loop, registry_, operations_.get(),
             [this](OperationId id, const auto& edit) { return change(id, edit); }),
      clearing_(loop, operations_.get()),
      keys_([this](OperationId id) { return registry_.get_operation(id) != nullptr; }),
      strays_(loop, [this](pid_t pid) { return shims_.contains(pid) || side_commands_.owns(pid); }),
      side_commands_(loop, launcher_, strays_, settings_.socket_path),
      hooks_(side_commands_, registry_, events_, operations_.get(), settings_.warn),
      sources_(loop, registry_, side_commands_, settings_.warn),
      families_(loop, registry_,
                {.cancel =
                     [this](OperationId child, const std::string& message) {
                         const Snapshot operation = registry_.get_operation(child);
                         const Snapshot parent =
                             operation ? registry_.get_operation(operation->spec->parent) : nullptr;
                         CancelRequest request{.reason = CancelationReason::parent, .message = message};
                         if (parent && parent->cancelation) request.by = parent->cancelation->by;
                         std::vector<OperationId> cancelled;
                         cancel_one(child, request, cancelled);
                     },
                 .finish = [this](OperationId id, const ShimReport& report) { finish(id, report); },
                 .stuck =
                     [this](OperationId id, std::vector<pid_t> survivors) {
                         change(id, [&](Operation& record) { add_survivors(record, std::move(survivors)); });
                     }}),
      bridge_(loop, {.log = settings_.warn}),
      left_trees_(bridge_, settings_.socket_path) {
    if (store_) history_.emplace(registry_, history_writer_, *store_);
}

std::unique_ptr<Store> Supervisor::Impl::make_store() {
    if (settings_.state_directory.empty()) return nullptr;
    Store::Settings store;
    store.directory = settings_.state_directory;
    store.owner = settings_.runtime_directory;
    store.warn = settings_.warn;
    store.renewed = [this] {
        for (const Snapshot& operation : registry_.list({}))
            history_writer_.changed(operation);
    };
    store.forgotten = [this](const std::vector<OperationId>& ids) {
        for (const OperationId id : ids)
            if (const Snapshot known = registry_.get_operation(id); known && is_ended(known->status))
                registry_.unregister(id);
    };
    return std::make_unique<Store>(loop_, std::move(store));
}

// Shims that have been released are about to end, and are ours to reap: a machine's init may be none that
// does it. One that guards orphans which were left alone ends some day.
Supervisor::Impl::~Impl() {
    const auto deadline = std::chrono::steady_clock::now() + kPartingPatience;
    history_writer_.finish(deadline);
    for (const auto& [id, link] : released_) {
        const Snapshot operation = registry_.get_operation(id);
        if (operation && operation->spec->orphans != Orphans::leave) link->await_end(deadline);
    }
}

Result<UniqueFd> Supervisor::Impl::open_log(OperationSpec& spec) const {
    if (!state_) return failure(ErrorCode::system, "no state directory for the log: use --no-log");
    const std::string name = std::to_string(spec.id) + ".log";
    if (::mkdirat(state_.get(), "logs", 0700) != 0 && errno != EEXIST)
        return system_error("cannot make the directory of logs");
    spec.log = settings_.state_directory + "/logs/" + name;
    UniqueFd log(
        ::openat(state_.get(), ("logs/" + name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log) return system_error("cannot create the log \"" + spec.log + "\"");
    return log;
}

void Supervisor::Impl::take_in(const OperationSpec& spec, std::unique_ptr<ShimLink> link) {
    const OperationId id = spec.id;
    Operation operation;
    operation.spec = std::make_shared<const OperationSpec>(spec);
    notes_.recall(operation);
    const Snapshot first = registry_.register_operation(std::move(operation));
    keys_.remember(spec.key, id);
    Live& live = live_[id];
    live.link = std::move(link);
    recorder_.changed({nullptr, first});
    if (listener_) listener_({nullptr, first});
    if (!live.link) return;  // Only its record is left: it has ended, and there is nobody to tell.
    history_writer_.changed(first);
    // The child of a parent that is being cancelled comes with a token that is set: it is heard of like any
    // other. Whatever thread cancels the token, the loop hears of it by the lane that is never full.
    live.token = bridge_.on_cancel(*registry_.token(id), [this, id] { token_cancelled(id); });
    families_.joined(*first);
    pausing_.joined(*first);
}

ShimLink::Callbacks Supervisor::Impl::callbacks_for(OperationId id) {
    return {.reported = [this, id](const ShimReport& report,
                                   UniqueFd description) { reported(id, report, std::move(description)); },
            .gone = [this, id] { shim_gone(id); }};
}

Result<Snapshot> Supervisor::Impl::run(RunRequest request) {
    OperationSpec& spec = request.spec;
    if (const auto known = keys_.find(spec.key))
        if (Snapshot operation = registry_.get_operation(*known)) return operation;
    if (spec.parent != 0) {
        const std::string number = std::to_string(spec.parent);
        const Snapshot parent = registry_.get_operation(spec.parent);
        if (!parent)
            return failure(ErrorCode::not_found, "there is no operation " + number + " to be its parent");
        if (is_ended(parent->status))
            return failure(ErrorCode::not_found,
                           "operation " + number + " has ended, so it has no more children");
    }
    if (const auto settled = settle_sources(spec, request.want_log); !settled)
        return std::unexpected(settled.error());
    auto id = ids_.next();
    if (!id) return std::unexpected(id.error());
    spec.id = *id;
    spec.created_at = wall_now();
    UniqueFd log;
    if (request.want_log) {
        auto opened = open_log(spec);
        if (!opened) return std::unexpected(opened.error());
        log = std::move(*opened);
    }
    add_context(request.launch.environment, *id, settings_.socket_path);

    LaunchDescriptors descriptors{.cwd = request.cwd.get(), .lifeline = request.lifeline.get()};
    for (std::size_t fd = 0; fd < 3; ++fd)
        descriptors.stdio[fd] = fd > 0 && log ? log.get() : request.stdio[fd].get();
    auto shim = launcher_.launch(spec, request.launch, descriptors);
    if (!shim) {
        if (log) ::unlinkat(state_.get(), ("logs/" + std::to_string(*id) + ".log").c_str(), 0);
        return std::unexpected(shim.error());
    }
    kill_point("before-reply");
    // Nothing is read from the shim before we are back in the loop, so the record is there in time.
    shims_.insert(shim->process.pid);
    sources_.add(spec, request.launch.environment, shim->process.pid);
    ancestry_.add(*id, shim->process.pid);
    take_in(spec, std::make_unique<ShimLink>(loop_, std::move(*shim), callbacks_for(*id)));
    return registry_.get_operation(*id);
}

bool Supervisor::Impl::change(OperationId id, const std::function<void(Operation&)>& edit,
                              const ShimReport* report) {
    const Snapshot before = registry_.get_operation(id);
    const auto after = registry_.update(id, [&](Operation& record) {
        edit(record);
        if (is_ended(record.status)) notes_.complete(record);
    });
    if (!after) {
        warn("operation " + std::to_string(id) + ": " + after.error().sentence());
        return false;
    }
    recorder_.changed({before, *after}, report);
    hooks_.changed({before, *after}, recorder_.is_adopting(id));
    if (is_ended((*after)->status)) notes_.ended(id);
    sources_.follow(**after);
    if (before->status == Status::pending && !is_ended((*after)->status)) history_writer_.changed(*after);
    if (listener_) listener_({before, *after});
    if (!is_settled(**after)) return true;
    families_.settled(**after);
    pausing_.left(id);
    // Each is taken out before it is called: it may ask for more, or forget others.
    for (auto next = waiting_.lower_bound({id, 0}); next != waiting_.end() && next->first.first == id;
         next = waiting_.lower_bound({id, 0})) {
        const Settled callback = std::move(next->second);
        waited_for_.erase(next->first.second);
        waiting_.erase(next);
        callback(*after);
    }
    return true;
}

std::uint64_t Supervisor::Impl::when_settled(OperationId id, Settled callback) {
    const std::uint64_t number = next_waiting_++;
    const Snapshot now = registry_.get_operation(id);
    if (now == nullptr || is_settled(*now)) {
        callback(now);
    } else {
        waiting_.emplace(std::pair(id, number), std::move(callback));
        waited_for_.emplace(number, id);
    }
    return number;
}

void Supervisor::Impl::forget(std::uint64_t number) noexcept {
    const auto entry = waited_for_.find(number);
    if (entry == waited_for_.end()) return;
    waiting_.erase({entry->second, number});
    waited_for_.erase(entry);
}

std::vector<OperationId> Supervisor::Impl::cancel(const Selector& selector, const CancelRequest& request) {
    std::vector<OperationId> cancelled;
    for (const Snapshot& operation : registry_.list(selector))
        cancel_one(operation->id(), request, cancelled);
    return cancelled;
}

void Supervisor::Impl::cancel_children(OperationId parent, const CancelRequest& request,
                                       std::vector<OperationId>& cancelled) {
    const auto children = registry_.children(parent);
    if (children.empty()) return;
    CancelRequest inherited = request;
    inherited.reason = CancelationReason::parent;
    inherited.message = "its parent, operation " + std::to_string(parent) + ", was cancelled";
    for (const Snapshot& child : children)
        cancel_one(child->id(), inherited, cancelled);
}

void Supervisor::Impl::cancel_one(OperationId id, const CancelRequest& request,
                                  std::vector<OperationId>& cancelled) {
    const auto entry = live_.find(id);
    if (entry == live_.end() || std::ranges::find(cancelled, id) != cancelled.end()) return;
    cancelled.push_back(id);
    Live& live = entry->second;
    const Snapshot operation = registry_.get_operation(id);
    const StopPlan plan = plan_for(*operation->spec, request);
    recorder_.cancel_requested(operation, request, plan, operation->cancelation != nullptr);
    cancel_children(id, request, cancelled);
    live.cancel_sent = true;
    pausing_.left(id);
    if (live.link) {
        live.link->send({.kind = ShimCommandKind::cancel,
                         .reason = request.reason,
                         .message = request.message,
                         .uid = request.by.uid,
                         .pid = request.by.pid,
                         .plan = plan});
        live.link->wake_up();
    }
    if (operation->status == Status::cancelling) return;
    change(id, [&](Operation& record) {
        record.status = Status::cancelling;
        auto cancelation = std::make_shared<Cancelation>();
        cancelation->reason = request.reason;
        cancelation->message = request.message;
        cancelation->by = request.by;
        cancelation->signal = plan.empty() ? 0 : plan.front().signal;
        cancelation->requested_at = wall_now();
        record.cancelation = std::move(cancelation);
    });
    if (auto token = registry_.token(id)) token->cancel(request.reason, request.message);
}

void Supervisor::Impl::token_cancelled(OperationId id) {
    const auto entry = live_.find(id);
    const auto token = registry_.token(id);
    if (entry == live_.end() || entry->second.cancel_sent || !token) return;
    std::vector<OperationId> cancelled;
    cancel_one(id,
               {.reason = token->reason().value_or(CancelationReason::manual), .message = token->message()},
               cancelled);
}

std::vector<OperationId> Supervisor::Impl::signal(const Selector& selector, int number, bool tree,
                                                  const Requester& by) {
    std::vector<OperationId> sent;
    for (const Snapshot& operation : registry_.list(selector)) {
        send(operation->id(), {.kind = ShimCommandKind::signal, .signal = number, .tree = tree});
        recorder_.signalled(operation, number, tree, by);
        sources_.signalled(operation->id(), number);
        sent.push_back(operation->id());
    }
    return sent;
}

void Supervisor::Impl::send(OperationId id, const ShimCommand& command) {
    const auto entry = live_.find(id);
    if (entry != live_.end() && entry->second.link) entry->second.link->send(command);
}

Result<> Supervisor::Impl::shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder) {
    const auto entry = live_.find(id);
    if (entry == live_.end())
        return failure(ErrorCode::not_found, "no live operation has the id " + std::to_string(id));
    if (entry->second.link)
        entry->second.link->send({.kind = ShimCommandKind::shield, .limit = limit}, std::move(holder));
    return {};
}

void Supervisor::Impl::reported(OperationId id, const ShimReport& report, UniqueFd description) {
    if (adoption_) return adoption_->reported(id, report, std::move(description));
    if (const auto adopting = adopting_.find(id); adopting != adopting_.end()) {
        std::optional<OperationSpec> spec;
        if (auto decoded = read_description(description.get()); decoded && decoded->spec.id == id)
            spec = std::move(decoded->spec);
        else if (auto acceptance = read_acceptance(operations_.get(), id))
            spec = std::move(acceptance->spec);
        std::unique_ptr<ShimLink> link = std::move(adopting->second);
        adopting_.erase(adopting);
        if (!spec) {
            warn("operation " + std::to_string(id) + " cannot be adopted: its shim does not describe it");
            return;
        }
        recorder_.begin_adoption(id);
        take_in(*spec, std::move(link));
        unheard_.insert(id);
    }
    const auto entry = live_.find(id);
    if (entry == live_.end() || report.id != id) return;
    if (unheard_.erase(id) > 0) {
        if (report.shim_pid > 0) ancestry_.add(id, report.shim_pid, report.shim_start_time);
        if (const auto decoded = read_description(description.get()); decoded && decoded->spec.id == id)
            sources_.add(decoded->spec, decoded->launch.environment, report.shim_pid);
    }

    const Snapshot before = registry_.get_operation(id);
    if (report.started && before->status == Status::pending)
        change(id, [&](Operation& record) {
            record.status = Status::running;
            record.started_at = report.started_at;
        });
    if (report.cancelation && !before->cancelation) {
        // The shim itself has cancelled: its timer, its lifeline, or a signal that it got.
        entry->second.cancel_sent = true;
        if (auto token = registry_.token(id))
            token->cancel(report.cancelation->reason, report.cancelation->message);
        std::vector<OperationId> cancelled;
        cancel_children(id, {.by = {report.cancelation->uid, report.cancelation->pid}}, cancelled);
    }
    const bool is_held = families_.hold(*before, report);
    ShimReport now = report;
    now.over = report.over && !is_held;
    change(id, [&](Operation& record) { apply_report(record, now); }, &now);
    recorder_.end_adoption(registry_.get_operation(id), report.signals);
    pausing_.reported(id, report);
    if (report.disconnected) sources_.disconnected(id);
    if (!now.over) return;
    kill_point("over");
    over(id, report);
}

void Supervisor::Impl::finish(OperationId id, const ShimReport& report) {
    change(id, [&](Operation& record) { apply_report(record, report); }, &report);
    over(id, report);
}

// Without a history, of an adopted one, whose client may still be asking for it: see Clearing. That of our
// own has been answered.
void Supervisor::Impl::keep_record(OperationId id, const ShimReport& report) {
    if (store_) return;
    const auto entry = live_.find(id);
    const Snapshot operation = registry_.get_operation(id);
    if (entry == live_.end() || !entry->second.link || !entry->second.link->is_adopted() || !operation)
        return;
    if (auto kept = write_exit_record(operations_.get(), *operation->spec, report); !kept)
        warn(kept.error().sentence());
}

// Its shim is let go once the end is where it cannot be lost.
void Supervisor::Impl::over(OperationId id, const ShimReport& report) {
    const auto entry = live_.find(id);
    if (entry == live_.end()) return;
    keep_record(id, report);
    const bool has_shim = entry->second.link != nullptr;
    if (has_shim) over_.emplace(id, std::move(entry->second.link));
    live_.erase(entry);
    history_writer_.ended(registry_.get_operation(id), {.report = report,
                                                        .release = [this, id] { recorded(id); },
                                                        .stored = [this, id] { notes_.forget(id); }});
    if (!has_shim) history_writer_.secure(id);  // It died after its last word.
}

void Supervisor::Impl::recorded(OperationId id) {
    const auto over = over_.find(id);
    if (over == over_.end()) return;
    std::unique_ptr<ShimLink> link = std::move(over->second);
    over_.erase(over);
    link->release();
    if (link->is_adopted())
        ancestry_.remove(id);  // Nobody will tell of its end.
    else
        released_.emplace(id, std::move(link));
}

void Supervisor::Impl::when_recorded(OperationId id, std::function<void()> done) {
    if (const Snapshot operation = registry_.get_operation(id))
        history_writer_.confirm(operation, std::move(done));
    else
        done();
}

void Supervisor::Impl::shim_gone(OperationId id) {
    if (adoption_) return adoption_->gone(id);
    ancestry_.remove(id);
    if (const auto released = released_.find(id); released != released_.end()) {
        shims_.erase(released->second->shim_pid());
        released_.erase(released);
        // It may have been killed before it had done so itself. While its end is only in a record, that
        // stays.
        if (!history_writer_.is_unwritten(id)) remove_traces(operations_.get(), id);
        return;
    }
    if (const auto over = over_.find(id); over != over_.end()) {
        shims_.erase(over->second->shim_pid());
        over_.erase(over);
        history_writer_.secure(id);  // Killed while it waited to be let go.
        return;
    }
    if (adopting_.erase(id) > 0) {  // It ended before it had said anything.
        LeftOperation left;
        left.id = id;
        left.exit_record = read_exit_record(operations_.get(), id);
        if (auto acceptance = read_acceptance(operations_.get(), id))
            left.acceptance = std::move(*acceptance);
        Adoption::Adopted adopted;
        adopted.left = std::move(left);
        adopt_one(std::move(adopted));
        return;
    }
    const auto entry = live_.find(id);
    if (entry == live_.end()) return;
    if (entry->second.link) shims_.erase(entry->second.link->shim_pid());
    const bool was_child = entry->second.link && !entry->second.link->is_adopted();
    entry->second.link.reset();
    if (families_.is_held(id)) return;  // It had said all that there is to say.

    if (const auto record = read_exit_record(operations_.get(), id)) {
        adopt_record(id, *record);
        cascade(id);
        return;
    }
    if (!was_child) {
        end_left_tree(id, kShimKilled);
        return;
    }
    strays_.end([this, id](const std::vector<pid_t>& survivors) {
        lose(id, with_survivors(kShimKilled, survivors));
    });
}

// Its shim is dead and was none of ours.
void Supervisor::Impl::end_left_tree(OperationId id, const std::string& why) {
    left_trees_.end(id, [this, id, why](const std::vector<pid_t>& survivors) {
        lose(id, with_survivors(why, survivors));
    });
}

void Supervisor::Impl::lose(OperationId id, const std::string& why, HistoryWriter::Source source) {
    warn("operation " + std::to_string(id) + " is lost: " + why);
    change(id, [&](Operation& record) {
        record.status = Status::lost;
        record.error = why;
        record.pid.reset();
        record.ended_at = wall_now();
        if (record.started_at) record.duration = *record.ended_at - *record.started_at;
    });
    live_.erase(id);
    kill_point("lost");
    if (!source.has_record) note_loss(operations_.get(), id);
    source.stored = [this, id] { notes_.forget(id); };
    history_writer_.ended(registry_.get_operation(id), std::move(source));
}

// Those that ended in the history, and were not cleared away; and what it knows of those that have nobody
// else to describe them. A history that cannot be asked holds nobody up.
void Supervisor::Impl::ask_history(const std::vector<LeftOperation>& left) {
    if (!store_) return;
    std::vector<OperationId> ids;
    for (const LeftOperation& operation : left)
        ids.push_back(operation.id);
    remembered_.emplace();
    const auto answered = std::make_shared<bool>(false);
    store_->recover(std::move(ids), [this, answered](Unended unended) {
        *answered = true;
        if (remembered_)
            *remembered_ = std::move(unended);
        else
            recovered(unended);
    });
    bool out_of_patience = false;
    Timer patience(loop_, [&] { out_of_patience = true; });
    patience.start(kAdoptionPatience);
    while (!*answered && !out_of_patience && store_->condition().state < Store::Condition::State::failing)
        loop_.run_once(true);
    // Who has lost the connection to an earlier supervisor asks again by the key: what has run does not run
    // twice.
    for (const Snapshot& operation : remembered_->recent) {
        const auto still_there = std::ranges::find(left, operation->id(), &LeftOperation::id);
        if (still_there != left.end() && (still_there->channel || still_there->exit_record)) continue;
        registry_.register_operation(*operation);
        keys_.remember(operation->spec->key, operation->id());
    }
}

// Accepted once, and neither live nor ended as far as the runtime directory knows.
void Supervisor::Impl::recovered(const Unended& unended) {
    ids_.skip_to(unended.last_id);
    for (const Operation& operation : unended.operations) {
        const OperationId id = operation.id();
        if (registry_.get_operation(id) || history_writer_.is_unwritten(id) || adopting_.contains(id))
            continue;
        recorder_.begin_adoption(id);
        take_in(*operation.spec, nullptr);
        if (operation.started_at)
            change(id, [&](Operation& record) {
                record.status = Status::running;
                record.started_at = operation.started_at;
            });
        lose(id, "the machine went down, or whatever else ended it and its shim at once");
        recorder_.end_adoption(registry_.get_operation(id));
    }
}

Result<> Supervisor::Impl::adopt() {
    auto left = find_left_operations(operations_.get());
    if (!left) return std::unexpected(left.error());
    // What was used stays used, also where this supervisor dies before it hands out the next id.
    if (!left->empty()) ids_.skip_to(left->back().id);
    kill_point("adopting");
    ask_history(*left);
    adoption_.emplace(loop_, operations_.get(), std::move(*left),
                      [this](OperationId id) { return callbacks_for(id); });
    // Clients that come next shall see them all. A shim that does not answer in time is adopted when it does.
    adoption_->gather(kAdoptionPatience);
    std::vector<Adoption::Adopted> adopted = adoption_->take();
    adoption_.reset();
    std::vector<OperationId> ids;
    for (Adoption::Adopted& operation : adopted) {
        ids.push_back(operation.left.id);
        adopt_one(std::move(operation));
        kill_point("adopted");
    }
    // A parent that was cancelled while nobody was there to tell its children.
    for (const OperationId id : ids)
        cascade(id);
    if (const auto remembered = std::exchange(remembered_, std::nullopt)) recovered(*remembered);
    if (store_) retention_.emplace(loop_, *store_, settings_.kept, settings_.warn);
    hooks_.resume();
    return {};
}

void Supervisor::Impl::adopt_one(Adoption::Adopted adopted) {
    const OperationId id = adopted.left.id;
    if (registry_.get_operation(id)) {
        // It has ended, and was only not cleared away.
        if (!adopted.link) remove_traces(operations_.get(), id);
        return;
    }
    const bool is_dead = !adopted.link && !adopted.report;
    if (is_dead && remembered_ && std::ranges::find(remembered_->ended, id) != remembered_->ended.end()) {
        remove_traces(operations_.get(), id);
        return;
    }
    std::optional<Acceptance>& acceptance = adopted.left.acceptance;
    if (remembered_ && !acceptance) {
        const auto row = std::ranges::find(remembered_->operations, id, &Operation::id);
        if (row != remembered_->operations.end()) acceptance = Acceptance{*row->spec, true};
    }
    if (adopted.report) {
        adopting_.emplace(id, std::move(adopted.link));
        reported(id, *adopted.report, std::move(adopted.description));
    } else if (adopted.link && acceptance) {
        // Its shim does not answer, and it can be listed and cancelled all the same.
        recorder_.begin_adoption(id);
        take_in(acceptance->spec, std::move(adopted.link));
        unheard_.insert(id);
        if (acceptance->begun) change(id, [](Operation& operation) { operation.status = Status::running; });
    } else if (adopted.link) {
        adopting_.emplace(id, std::move(adopted.link));
    } else if (const auto& record = adopted.left.exit_record) {
        recorder_.begin_adoption(id);
        take_in(record->spec, nullptr);
        adopt_record(id, *record);
    } else {
        OperationSpec spec;
        spec.id = id;
        spec.name = "unknown";
        spec.created_at = wall_now();
        if (acceptance) spec = acceptance->spec;
        const bool never_begun = acceptance && !acceptance->begun;
        // Whoever asks for it again under its key gets it, since nothing of it has ever run.
        if (never_begun) spec.key.clear();
        recorder_.begin_adoption(id);
        take_in(spec, nullptr);
        if (never_begun) {
            lose(id, "its supervisor was killed before the command was started");
        } else if (acceptance && acceptance->lost) {
            lose(id, kShimKilled);
        } else {
            if (acceptance) change(id, [](Operation& operation) { operation.status = Status::running; });
            end_left_tree(id, record.error().os_errno == ENOENT ? kShimKilled : record.error().sentence());
        }
    }
    if (!adopting_.contains(id)) recorder_.end_adoption(registry_.get_operation(id));
}

// An operation that ended while nobody watched.
void Supervisor::Impl::adopt_record(OperationId id, const ExitRecord& record) {
    if (!record.why_lost.empty()) {
        lose(id, record.why_lost, {.report = {}, .has_record = true, .release = {}, .stored = {}});
        recorder_.end_adoption(registry_.get_operation(id));
        return;
    }
    const ShimReport& report = record.report;
    if (report.started && registry_.get_operation(id)->status == Status::pending)
        change(id, [](Operation& operation) { operation.status = Status::running; });
    change(id, [&](Operation& operation) { apply_report(operation, report); }, &report);
    live_.erase(id);
    recorder_.end_adoption(registry_.get_operation(id));
    kill_point("recorded");
    history_writer_.ended(registry_.get_operation(id),
                          {.report = report, .has_record = true, .release = {}, .stored = [this, id] {
                               notes_.forget(id);
                               kill_point("forgotten");
                           }});
}

// What a cancelation of this operation would have done to its children, had a supervisor been there.
void Supervisor::Impl::cascade(OperationId id) {
    const Snapshot parent = registry_.get_operation(id);
    if (!parent || !parent->cancelation) return;
    CancelRequest inherited;
    inherited.reason = CancelationReason::parent;
    inherited.message = "its parent, operation " + std::to_string(id) + ", was cancelled";
    inherited.by = parent->cancelation->by;
    std::vector<OperationId> cancelled;
    for (const Snapshot& child : registry_.children(id)) {
        // One that came after its parent's end has nothing to do with it.
        const bool in_time = !parent->ended_at || child->spec->created_at <= *parent->ended_at;
        if (in_time && child->status != Status::cancelling) cancel_one(child->id(), inherited, cancelled);
    }
}

Result<std::unique_ptr<Supervisor>> Supervisor::create(Loop& loop, Settings settings) {
    // Trees of killed shims must fall to us and not to init.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return system_error("cannot become a subreaper");
    auto runtime = open_file(settings.runtime_directory.c_str(), O_RDONLY | O_DIRECTORY);
    if (!runtime) return std::unexpected(runtime.error());
    const std::string operations_path = settings.runtime_directory + "/ops";
    if (auto made = ensure_private_directory(operations_path); !made) return std::unexpected(made.error());
    auto operations = open_file(operations_path.c_str(), O_RDONLY | O_DIRECTORY);
    if (!operations) return std::unexpected(operations.error());

    // Without a state directory there are no logs, and ids go on from the runtime directory: commands run all
    // the same.
    UniqueFd state;
    if (auto made = ensure_private_directory_tree(settings.state_directory); !made) {
        if (settings.warn) settings.warn(made.error().sentence());
    } else if (auto opened = open_file(settings.state_directory.c_str(), O_RDONLY | O_DIRECTORY); opened) {
        state = std::move(*opened);
    } else if (settings.warn) {
        settings.warn(opened.error().sentence());
    }
    auto launcher = ShimLauncher::create(settings.shim_path, operations->get());
    if (!launcher) return std::unexpected(launcher.error());
    auto impl = std::make_unique<Impl>(loop, std::move(settings), std::move(*operations), std::move(*runtime),
                                       std::move(state), std::move(*launcher));
    if (auto adopted = impl->adopt(); !adopted) return std::unexpected(adopted.error());
    return std::unique_ptr<Supervisor>(new Supervisor(std::move(impl)));
}

Supervisor::Supervisor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Supervisor::~Supervisor() = default;

Result<Snapshot> Supervisor::run(RunRequest request) {
    return impl_->run(std::move(request));
}

std::vector<OperationId> Supervisor::cancel(const Selector& selector, const CancelRequest& request) {
    return impl_->cancel(selector, request);
}

Result<OperationId> Supervisor::operation_of(pid_t pid, int pidfd) const {
    return impl_->ancestry_.operation_of(pid, pidfd);
}

std::vector<OperationId> Supervisor::signal(const Selector& selector, int signal_number, bool tree,
                                            const Requester& by) {
    return impl_->signal(selector, signal_number, tree, by);
}

std::vector<OperationId> Supervisor::set_paused(const Selector& selector, bool paused, PauseDone done) {
    return impl_->pausing_.ask(selector, paused, std::move(done));
}

Result<> Supervisor::shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder) {
    return impl_->shield(id, limit, std::move(holder));
}

Result<> Supervisor::progress(OperationId id, double fraction, std::string text) {
    return impl_->notes().progress(id, fraction, std::move(text));
}

Result<> Supervisor::result(OperationId id, std::string bytes) {
    return impl_->notes().result(id, std::move(bytes));
}

std::vector<HookFailure> Supervisor::hook_failures(OperationId id) const {
    return impl_->hooks().failures(id);
}

std::size_t Supervisor::pending_hooks() const noexcept {
    return impl_->hooks().pending();
}

std::uint64_t Supervisor::when_settled(OperationId id, Settled callback) {
    return impl_->when_settled(id, std::move(callback));
}

void Supervisor::forget(std::uint64_t callback_number) noexcept {
    impl_->forget(callback_number);
}

void Supervisor::when_recorded(OperationId id, std::function<void()> done) {
    impl_->when_recorded(id, std::move(done));
}

History* Supervisor::history() noexcept {
    return impl_->history_ ? &*impl_->history_ : nullptr;
}

Registry& Supervisor::registry() noexcept {
    return impl_->registry_;
}

EventLog& Supervisor::events() noexcept {
    return impl_->events_;
}

void Supervisor::on_change(std::function<void(const Transition&)> listener) {
    impl_->listener_ = std::move(listener);
}

}  // namespace cancelable
