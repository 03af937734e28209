// The methods named operation.…
#include <algorithm>
#include <utility>

#include "ipc/requests.h"
#include "ipc/run_request.h"
#include "ipc/service_impl.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

std::unexpected<Error> no_operation(OperationId id) {
    return failure(ErrorCode::not_found, "there is no operation " + std::to_string(id));
}

}  // namespace

// A caller that is dead by now is none whose place could be told, and may have been part of something that is
// gone: nothing is done in its name.
Result<OperationId> Service::Impl::operation_of_caller(const Answer& answer, OperationId said) const {
    const auto connection = answer.connection();
    if (!connection) return failure(ErrorCode::refused, "the connection is gone");
    const auto peer = connection->peer_process();
    if (!peer) return std::unexpected(peer.error());
    if (peer->pid != 0) {
        const auto around = operations_.operation_of(peer->pid, peer->pidfd.get());
        if (!around || *around != 0) return around;
    }
    return said;
}

Service::Impl::Outcome Service::Impl::operation_run(Call& call) {
    auto params = decode_run(call.params);
    if (!params) return std::unexpected(params.error());
    if (stopping_) return failure(ErrorCode::stopping, "the supervisor is stopping and starts nothing more");
    if (params->spec.parent == 0 && !params->no_parent) {
        const auto around = operation_of_caller(call.answer, params->operation_id);
        if (!around) return std::unexpected(around.error());
        // What an operation leaves behind when it ends is part of none any more.
        const Snapshot parent = operations_.registry().get_operation(*around);
        params->spec.parent = parent && !is_ended(parent->status) ? *around : 0;
    }
    const bool watch = params->watch;
    const bool progress = params->progress;
    const bool brief = params->brief;
    auto request = make_run_request(std::move(*params), std::move(call.descriptors));
    if (!request) return std::unexpected(request.error());
    const OperationId parent = request->spec.parent;
    const auto snapshot = operations_.run(std::move(*request));
    if (!snapshot) {
        if (parent != 0 && !operations_.registry().get_operation(parent) &&
            operations_.history() != nullptr) {
            refuse_parent(std::move(call.answer), parent, snapshot.error());
            return std::nullopt;
        }
        return std::unexpected(snapshot.error());
    }
    const auto connection = call.answer.connection();
    const OperationId id = (*snapshot)->id();
    if (!watch) {
        // Who does not stay to hear of the end is told whether there is a beginning, and the id once it is
        // sure to be known for ever. Who asks for a second time with its key has lost the first connection.
        start_waiters_.erase(id);
        start_waiters_.emplace(id, StartWaiter{connection.get(), std::move(call.answer), *snapshot});
        answer_start_waiter(*snapshot);
        return std::nullopt;
    }
    // The answer goes first, so that who is told of the end knows the operation.
    call.answer.result_text(brief ? encode_brief(**snapshot)
                                  : to_text(encode_operation(**snapshot, wall_now())));
    if (!connection) return std::nullopt;
    if (progress) watch_progress(connection, id);
    auto hold = std::make_shared<Hold>(connection);
    gather(connection.get(), {id}, false, std::nullopt, [hold, brief](const Gathering::Outcome& outcome) {
        const auto peer = hold->connection();
        if (!peer || outcome.settled.empty()) return;
        const Operation& ended = *outcome.settled.front();
        const bool says_all = !brief || ended.status != Status::completed;
        const JsonText told = says_all ? to_text(encode_operation(ended, wall_now())) : encode_brief(ended);
        JsonWriter out;
        out.begin_object().name("operation").text(told.text).end_object();
        peer->notify_text("operation.ended", out.take());
    });
    return std::nullopt;
}

// The engine knows no such parent; the history may, and then it has ended.
void Service::Impl::refuse_parent(Answer to, OperationId parent, const Error& refusal) {
    const Connection* const connection = to.connection().get();
    auto answer = std::make_shared<Answer>(std::move(to));
    find_in_history(connection, parent, [answer, parent, refusal](const Result<Snapshot>& found) {
        const bool has_ended = found && *found;
        answer->error(
            has_ended
                ? Error{ErrorCode::not_found,
                        "operation " + std::to_string(parent) + " has ended, so it has no more children", 0}
                : refusal);
    });
}

void Service::Impl::answer_start_waiter(const Snapshot& operation) {
    const OperationId id = operation->id();
    const auto waiter = start_waiters_.find(id);
    if (waiter == start_waiters_.end()) return;
    waiter->second.latest = operation;
    if (operation->status == Status::pending || std::exchange(waiter->second.is_being_recorded, true)) return;
    operations_.when_recorded(id, [this, id, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        const auto recorded = start_waiters_.find(id);
        if (recorded == start_waiters_.end()) return;
        Answer answer = std::move(recorded->second.answer);
        const Snapshot latest = recorded->second.latest;
        start_waiters_.erase(recorded);
        answer.result(encode_operation(*latest, wall_now()));
    });
}

json Service::Impl::list(const ListParams& params) const {
    const auto scope = params.all ? Registry::Scope::live_and_ended : Registry::Scope::live;
    // A key narrows further than the registry can, so the limit has to wait for it.
    auto snapshots =
        operations_.registry().list(params.selector, scope, params.key ? std::nullopt : params.limit);
    if (params.key) {
        std::erase_if(snapshots, [&](const Snapshot& snapshot) { return snapshot->spec->key != params.key; });
        if (params.limit && snapshots.size() > *params.limit)
            snapshots.erase(snapshots.begin(), snapshots.end() - static_cast<std::ptrdiff_t>(*params.limit));
    }
    return {{"operations", encode_operations(snapshots)}, {"revision", revision_}};
}

Service::Impl::Outcome Service::Impl::operation_list(Call& call) {
    auto params = decode_list(call.params);
    if (!params) return std::unexpected(params.error());
    const std::uint64_t after = params->after.value_or(0);
    if (revision_ > after) {
        answer_list(std::move(call.answer), std::move(*params));
        return std::nullopt;
    }
    const Connection* connection = call.answer.connection().get();
    list_waiters_.push_back({connection, std::move(call.answer), std::move(*params), after});
    return std::nullopt;
}

void Service::Impl::answer_list(Answer to, ListParams params) {
    if (params.all && operations_.history() != nullptr)
        list_with_history(std::move(to), std::move(params));
    else
        to.result(list(params));
}

void Service::Impl::answer_list_waiters() {
    std::list<ListWaiter> still;
    for (ListWaiter& waiter : std::exchange(list_waiters_, {})) {
        if (revision_ > waiter.after)
            answer_list(std::move(waiter.answer), std::move(waiter.params));
        else
            still.push_back(std::move(waiter));
    }
    list_waiters_ = std::move(still);
}

Service::Impl::Outcome Service::Impl::operation_show(Call& call) {
    const auto params = decode_show(call.params);
    if (!params) return std::unexpected(params.error());
    const OperationId id = params->id;
    const Snapshot snapshot = operations_.registry().get_operation(id);
    const auto encode = [failures = operations_.hook_failures(id)](const Operation& operation) {
        json shown = encode_operation(operation, wall_now());
        add_result(shown, operation);
        add_hook_failures(shown, failures);
        return shown;
    };
    if (snapshot) return encode(*snapshot);
    if (operations_.history() == nullptr) return no_operation(id);
    const Connection* const connection = call.answer.connection().get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    find_in_history(connection, id, [answer, id, encode](const Result<Snapshot>& found) {
        if (!found)
            answer->error(found.error());
        else if (!*found)
            answer->error(no_operation(id).error());
        else
            answer->result(encode(**found));
    });
    return std::nullopt;
}

Error Service::Impl::nothing_matches(const Selector& selector, std::string_view kind) const {
    Error error{ErrorCode::not_found, "no " + std::string(kind) + " matches", 0};
    if (selector.ids.size() != 1 || !selector.globs.empty()) return error;
    const Snapshot snapshot = operations_.registry().get_operation(selector.ids.front());
    const std::string id = std::to_string(selector.ids.front());
    if (!snapshot)
        error.doing = "there is no operation " + id;
    else if (is_ended(snapshot->status))
        error.doing = "operation " + id + " has ended already";
    return error;
}

std::unexpected<Error> Service::Impl::needs_selector(std::string_view method) {
    return failure(
        ErrorCode::usage,
        std::string(method) +
            " needs a selector that says which operations are meant; all of them: {\"all\": true}");
}

Service::Impl::Outcome Service::Impl::operation_cancel(Call& call) {
    auto params = decode_cancel(call.params);
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.cancel");
    Registry& registry = operations_.registry();
    if (params->dry_run) {
        const auto picked = registry.list(params->selector);
        if (picked.empty()) return std::unexpected(nothing_matches(params->selector, "live operation"));
        return json{{"operations", encode_operations(picked)}};
    }
    const auto connection = call.answer.connection();
    if (connection) params->request.by = {connection->peer().uid, connection->peer().pid};
    const auto ids = operations_.cancel(params->selector, params->request);
    if (ids.empty()) {
        const Error nothing = nothing_matches(params->selector, "live operation");
        const bool may_have_ended = params->selector.ids.size() == 1 && params->selector.globs.empty() &&
                                    !registry.get_operation(params->selector.ids.front());
        if (operations_.history() == nullptr || !may_have_ended) return std::unexpected(nothing);
        const OperationId id = params->selector.ids.front();
        auto answer = std::make_shared<Answer>(std::move(call.answer));
        find_in_history(connection.get(), id, [answer, id, nothing](const Result<Snapshot>& found) {
            const bool has_ended = found && *found;
            answer->error(has_ended ? Error{ErrorCode::not_found,
                                            "operation " + std::to_string(id) + " has ended already", 0}
                                    : nothing);
        });
        return std::nullopt;
    }
    if (!params->wait) {
        std::vector<Snapshot> picked;
        for (const OperationId id : ids)
            if (auto snapshot = registry.get_operation(id)) picked.push_back(std::move(snapshot));
        return json{{"operations", encode_operations(picked)}};
    }
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    gather(connection.get(), ids, false, std::nullopt, [answer](const Gathering::Outcome& outcome) {
        answer->result({{"operations", encode_operations(outcome.settled)}});
    });
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::operation_wait(Call& call) {
    const auto params = decode_wait(call.params);
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.wait");
    std::vector<OperationId> ids;
    for (const Snapshot& snapshot :
         operations_.registry().list(params->selector, Registry::Scope::live_and_ended))
        ids.push_back(snapshot->id());
    const Selector& selector = params->selector;
    const bool all_known = !selector.ids.empty() && selector.globs.empty() &&
                           std::ranges::all_of(selector.ids, [&](OperationId id) {
                               return operations_.registry().get_operation(id) != nullptr;
                           });
    if (operations_.history() != nullptr && !all_known) {
        wait_with_history(std::move(call.answer), *params);
        return std::nullopt;
    }
    if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "operation"));
    const auto holder = call.answer.connection();
    if (params->progress && holder)
        for (const OperationId id : ids)
            watch_progress(holder, id);
    const Connection* connection = holder.get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    gather(connection, ids, params->any, params->timeout, [answer](const Gathering::Outcome& outcome) {
        answer->result(
            {{"operations", encode_operations(outcome.settled)}, {"timed_out", outcome.timed_out}});
    });
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::operation_current(Call& call) {
    const auto params = decode_current(call.params);
    if (!params) return std::unexpected(params.error());
    const auto around = operation_of_caller(call.answer, params->operation_id);
    if (!around) return std::unexpected(around.error());
    const Snapshot snapshot = operations_.registry().get_operation(*around);
    return snapshot ? encode_operation(*snapshot, wall_now()) : json();
}

}  // namespace cancelable::ipc
