// What is asked for from inside an operation, and who is told of its progress as it comes.
#include <sys/socket.h>
#include <sys/stat.h>

#include <utility>

#include "ipc/requests.h"
#include "ipc/service_impl.h"

namespace cancelable::ipc {

using nlohmann::json;

// The live or ended operation that the caller is part of.
Result<OperationId> Service::Impl::callers_operation(const Call& call, OperationId said) const {
    const auto around = operation_of_caller(call.answer, said);
    if (!around) return around;
    if (*around == 0 || !operations_.registry().get_operation(*around))
        return failure(ErrorCode::not_found, "this is not part of an operation");
    return around;
}

Service::Impl::Outcome Service::Impl::operation_shield(Call& call) {
    const auto params = decode_shield(call.params);
    if (!params) return std::unexpected(params.error());
    struct stat status{};
    if (call.descriptors.size() != 1 || ::fstat(call.descriptors.front().get(), &status) != 0 ||
        !S_ISSOCK(status.st_mode))
        return failure(ErrorCode::usage, "operation.shield needs a socket as its descriptor");
    const auto id = callers_operation(call, params->operation_id);
    if (!id) return std::unexpected(id.error());
    if (auto sent = operations_.shield(*id, params->limit, std::move(call.descriptors.front())); !sent)
        return std::unexpected(sent.error());
    return json{{"id", *id}};
}

Service::Impl::Outcome Service::Impl::operation_progress(Call& call) {
    auto params = decode_progress(call.params);
    if (!params) return std::unexpected(params.error());
    const auto id = callers_operation(call, params->operation_id);
    if (!id) return std::unexpected(id.error());
    if (auto taken = operations_.progress(*id, params->fraction, std::move(params->text)); !taken)
        return std::unexpected(taken.error());
    return json{{"id", *id}};
}

Service::Impl::Outcome Service::Impl::operation_result(Call& call) {
    auto params = decode_result(call.params);
    if (!params) return std::unexpected(params.error());
    const auto id = callers_operation(call, params->operation_id);
    if (!id) return std::unexpected(id.error());
    if (auto kept = operations_.result(*id, std::move(params->bytes)); !kept)
        return std::unexpected(kept.error());
    return json{{"id", *id}};
}

void Service::Impl::watch_progress(const std::shared_ptr<Connection>& connection, OperationId id) {
    const Snapshot operation = operations_.registry().get_operation(id);
    if (!operation || is_ended(operation->status)) return;
    progress_watchers_.emplace(id, connection);
    if (operation->progress) tell_progress(*connection, *operation);
}

void Service::Impl::tell_progress(Connection& connection, const Operation& operation) {
    // Somebody who does not read, a stopped client for one, misses some rather than have them pile up.
    if (connection.is_behind()) return;
    connection.notify("operation.progress",
                      {{"id", operation.id()}, {"progress", encode_progress(*operation.progress)}});
}

void Service::Impl::progress_changed(const Transition& transition) {
    const auto [first, last] = progress_watchers_.equal_range(transition.after->id());
    if (first == last) return;
    const bool is_new = transition.after->progress && transition.before &&
                        transition.before->progress != transition.after->progress;
    if (is_new)
        for (auto watcher = first; watcher != last; ++watcher)
            if (const auto connection = watcher->second.lock()) tell_progress(*connection, *transition.after);
    if (is_ended(transition.after->status)) progress_watchers_.erase(first, last);
}

}  // namespace cancelable::ipc
