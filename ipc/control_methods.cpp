// The methods that reach into the processes of operations without ending them.
#include <utility>

#include "ipc/requests.h"
#include "ipc/service_impl.h"

namespace cancelable::ipc {

namespace {

using nlohmann::json;

json operations_of(const std::vector<OperationId>& ids, const Registry& registry) {
    json operations = json::array();
    const WallTime now = wall_now();
    for (const OperationId id : ids)
        if (const Snapshot snapshot = registry.get_operation(id))
            operations.push_back(encode_operation(*snapshot, now));
    return {{"operations", std::move(operations)}};
}

}  // namespace

Service::Impl::Outcome Service::Impl::operation_signal(Call& call) {
    const auto params = decode_signal(call.params);
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.signal");
    Requester by;
    if (const auto connection = call.answer.connection())
        by = {connection->peer().uid, connection->peer().pid};
    const auto ids = operations_.signal(params->selector, params->signal, params->tree, by);
    if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "live operation"));
    return operations_of(ids, operations_.registry());
}

Service::Impl::Outcome Service::Impl::operation_pause(Call& call) {
    return set_paused(call, "operation.pause", true);
}

Service::Impl::Outcome Service::Impl::operation_resume(Call& call) {
    return set_paused(call, "operation.resume", false);
}

Service::Impl::Outcome Service::Impl::set_paused(Call& call, std::string_view method, bool paused) {
    const auto params = decode_pause(call.params, method);
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector(method);
    if (!params->wait) {
        const auto ids = operations_.set_paused(params->selector, paused, {});
        if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "operation"));
        return operations_of(ids, operations_.registry());
    }
    // The engine keeps the answer until all have done it. For a peer that has gone meanwhile it does nothing.
    const auto answer = std::make_shared<Answer>(std::move(call.answer));
    const auto ids = operations_.set_paused(
        params->selector, paused,
        [answer, &registry = operations_.registry()](const std::vector<OperationId>& done) {
            answer->result(operations_of(done, registry));
        });
    if (ids.empty()) answer->error(nothing_matches(params->selector, "operation"));
    return std::nullopt;
}

}  // namespace cancelable::ipc
