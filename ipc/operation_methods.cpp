// The methods named operation.…
#include <utility>

#include "ipc/requests.h"
#include "ipc/run_request.h"
#include "ipc/service_impl.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

json encode_operations(const std::vector<Snapshot>& snapshots) {
    json operations = json::array();
    const WallTime time = wall_now();
    for (const Snapshot& snapshot : snapshots)
        operations.push_back(encode_operation(*snapshot, time));
    return operations;
}

std::unexpected<Error> needs_selector(std::string_view method) {
    return failure(
        ErrorCode::usage,
        std::string(method) +
            " needs a selector that says which operations are meant; all of them: {\"all\": true}");
}

}  // namespace

Service::Impl::Outcome Service::Impl::operation_run(Call& call) {
    auto params = decode_run(std::move(call.params));
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
    auto request = make_run_request(std::move(*params), std::move(call.descriptors));
    if (!request) return std::unexpected(request.error());
    const auto snapshot = operations_.run(std::move(*request));
    if (!snapshot) return std::unexpected(snapshot.error());
    const auto connection = call.answer.connection();
    if (!watch && (*snapshot)->status == Status::pending) {
        // Who does not stay to hear of the end is told whether there is a beginning.
        const OperationId id = (*snapshot)->id();
        // Asked for a second time with its key, by who has lost the first connection.
        start_waiters_.erase(id);
        start_waiters_.emplace(id, StartWaiter{connection.get(), std::move(call.answer)});
        return std::nullopt;
    }
    // The answer goes first, so that who is told of the end knows the operation.
    call.answer.result(encode_operation(**snapshot, wall_now()));
    if (!watch || !connection) return std::nullopt;
    if (progress) watch_progress(connection, (*snapshot)->id());
    auto hold = std::make_shared<Hold>(connection);
    gather(connection.get(), {(*snapshot)->id()}, false, std::nullopt,
           [hold](const Gathering::Outcome& outcome) {
               const auto peer = hold->connection();
               if (peer && !outcome.settled.empty())
                   peer->notify("operation.ended",
                                {{"operation", encode_operation(*outcome.settled.front(), wall_now())}});
           });
    return std::nullopt;
}

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

void Service::Impl::answer_start_waiter(const Snapshot& operation) {
    const auto waiter = start_waiters_.find(operation->id());
    if (waiter == start_waiters_.end() || operation->status == Status::pending) return;
    Answer answer = std::move(waiter->second.answer);
    start_waiters_.erase(waiter);
    answer.result(encode_operation(*operation, wall_now()));
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
    auto params = decode_list(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    const std::uint64_t after = params->after.value_or(0);
    if (revision_ > after) return list(*params);
    const Connection* connection = call.answer.connection().get();
    list_waiters_.push_back({connection, std::move(call.answer), std::move(*params), after});
    return std::nullopt;
}

void Service::Impl::answer_list_waiters() {
    std::list<ListWaiter> still;
    for (ListWaiter& waiter : std::exchange(list_waiters_, {})) {
        if (revision_ > waiter.after)
            waiter.answer.result(list(waiter.params));
        else
            still.push_back(std::move(waiter));
    }
    list_waiters_ = std::move(still);
}

Service::Impl::Outcome Service::Impl::operation_show(Call& call) {
    const auto params = decode_show(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    const Snapshot snapshot = operations_.registry().get_operation(params->id);
    if (!snapshot)
        return failure(ErrorCode::not_found, "there is no operation " + std::to_string(params->id));
    json shown = encode_operation(*snapshot, wall_now());
    add_result(shown, *snapshot);
    return shown;
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

Service::Impl::Outcome Service::Impl::operation_cancel(Call& call) {
    auto params = decode_cancel(std::move(call.params));
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
    if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "live operation"));
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

Service::Impl::Outcome Service::Impl::operation_signal(Call& call) {
    const auto params = decode_signal(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    Requester by;
    if (const auto connection = call.answer.connection())
        by = {connection->peer().uid, connection->peer().pid};
    if (auto sent = operations_.signal(params->id, params->signal, by); !sent)
        return std::unexpected(sent.error());
    return json::object();
}

Service::Impl::Outcome Service::Impl::operation_wait(Call& call) {
    const auto params = decode_wait(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.wait");
    std::vector<OperationId> ids;
    for (const Snapshot& snapshot :
         operations_.registry().list(params->selector, Registry::Scope::live_and_ended))
        ids.push_back(snapshot->id());
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
    const auto params = decode_current(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    const auto around = operation_of_caller(call.answer, params->operation_id);
    if (!around) return std::unexpected(around.error());
    const Snapshot snapshot = operations_.registry().get_operation(*around);
    return snapshot ? encode_operation(*snapshot, wall_now()) : json();
}

}  // namespace cancelable::ipc
