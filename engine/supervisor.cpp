#include "engine/supervisor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "engine/supervisor_impl.h"

namespace cancelable {
namespace {

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

StopPlan plan_for(const OperationSpec& spec, const CancelRequest& request) {
    const int signal = request.signal.value_or(spec.signal);
    if (request.now || signal == SIGKILL) return {};
    return {{signal, request.grace.value_or(spec.grace)}};
}

}  // namespace

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
      history_writer_(loop,
                      {.store = store_.get(),
                       .operations_directory = operations_.get(),
                       .warn = settings_.warn,
                       .clear = [this](OperationId id,
                                       const HistoryWriter::Source& source) { clear_traces(id, source); }}),
      ids_(runtime_.get(), state_.get()),
      idle_shims_(loop, operations_.get()),
      acceptances_(loop, operations_.get()),
      launcher_(std::move(launcher)),
      notes_(loop, registry_, operations_.get(),
             [this](OperationId id, const auto& edit) { return change(id, edit); }),
      clearing_(loop, operations_.get()),
      keys_([this](OperationId id) { return registry_.get_operation(id) != nullptr; }),
      strays_(loop,
              [this](pid_t pid) {
                  return shims_.contains(pid) || idle_shims_.owns(pid) || side_commands_.owns(pid);
              }),
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
    launcher_.reuse(idle_shims_, acceptances_);
    if (store_) history_.emplace(registry_, history_writer_, *store_);
}

// Off the runtime directory.
void Supervisor::Impl::clear_traces(OperationId id, const HistoryWriter::Source& source) {
    // Its client may yet ask, and there is no history to answer.
    if (!store_ && !source.had_no_other) clearing_.later(id);
    // Its acceptance went when it began, and its channel goes with its shim, to the next operation perhaps.
    else if (source.had_no_other && !source.has_record && source.report && source.report->started)
        acceptances_.over(id);
    else
        remove_traces(operations_.get(), id);
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

void Supervisor::Impl::take_in(const OperationSpec& spec, std::unique_ptr<ShimLink> link, Origin origin) {
    const OperationId id = spec.id;
    Operation operation;
    operation.spec = std::make_shared<const OperationSpec>(spec);
    if (origin == Origin::left_behind) notes_.recall(operation);
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

    LaunchDescriptors descriptors{.cwd = request.cwd.get(),
                                  .lifeline = request.lifeline.get(),
                                  .slots = request.slots.get(),
                                  .turn = request.turn.get(),
                                  .next_turn = request.next_turn.get()};
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
    take_in(spec, std::make_unique<ShimLink>(loop_, std::move(*shim), callbacks_for(*id)), Origin::new_one);
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
    const std::vector<Snapshot> operations = registry_.list(selector);
    std::vector<OperationId> cancelled;
    // Those that wait for a slot first, or the end of one that has it would be their beginning.
    for (const bool waits : {true, false})
        for (const Snapshot& operation : operations)
            if ((operation->status == Status::pending) == waits)
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
