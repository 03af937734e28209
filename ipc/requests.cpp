#include "ipc/requests.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"
#include "ipc/params.h"
#include "ipc/selector_codec.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kModes{"refuse", "cancel", "keep"};

template <class T>
void get_selector(Params& params, T& target) {
    const auto encoded = params.take("selector");
    if (!encoded) return;
    auto selector = decode_selector(*encoded);
    if (selector)
        target.selector = std::move(*selector);
    else
        params.adopt(selector.error());
}

template <class T>
Result<T> finished(const Params& params, T decoded) {
    if (auto result = params.finish(); !result) return std::unexpected(result.error());
    return decoded;
}

}  // namespace

json encode(const ListParams& list) {
    json encoded = json::object();
    if (json selector = encode_selector(list.selector); !selector.empty())
        encoded["selector"] = std::move(selector);
    if (list.all) encoded["all"] = true;
    if (list.limit) encoded["limit"] = *list.limit;
    if (list.after) encoded["after"] = *list.after;
    if (list.key) encoded["key"] = *list.key;
    return encoded;
}

Result<ListParams> decode_list(JsonValue encoded) {
    ListParams list;
    Params params(encoded, "operation.list");
    get_selector(params, list);
    params.get("all", list.all);
    params.get("limit", list.limit);
    params.get("after", list.after);
    params.get("key", list.key);
    return finished(params, std::move(list));
}

json encode(const CancelParams& cancel) {
    json encoded{{"selector", encode_selector(cancel.selector)}, {"wait", cancel.wait}};
    const CancelRequest& request = cancel.request;
    if (request.reason != CancelationReason::manual) encoded["reason"] = to_string(request.reason);
    if (!request.message.empty()) encoded["message"] = bytes_to_json(request.message);
    if (request.signal) encoded["signal"] = signal_name(*request.signal);
    if (request.grace) encoded["grace"] = seconds(*request.grace);
    if (request.now) encoded["now"] = true;
    if (cancel.dry_run) encoded["dry_run"] = true;
    return encoded;
}

Result<CancelParams> decode_cancel(JsonValue encoded) {
    CancelParams cancel;
    CancelRequest& request = cancel.request;
    Params params(encoded, "operation.cancel");
    get_selector(params, cancel);
    if (params.is_given("reason")) {
        // The other reasons are the supervisor's own: nobody may claim that a timeout ran out.
        std::string name;
        params.get("reason", name);
        request.reason = parse_reason(name).value_or(CancelationReason::error);
        if (request.reason != CancelationReason::manual && request.reason != CancelationReason::signal)
            params.fail("reason", "must be \"manual\" or \"signal\"");
    }
    params.get("message", request.message);
    if (params.is_given("signal")) params.get_signal("signal", request.signal.emplace());
    params.get("grace", request.grace);
    params.get("now", request.now);
    params.get("wait", cancel.wait);
    params.get("dry_run", cancel.dry_run);
    return finished(params, std::move(cancel));
}

json encode(const WaitParams& wait) {
    json encoded{{"selector", encode_selector(wait.selector)}};
    if (wait.any) encoded["any"] = true;
    if (wait.timeout) encoded["timeout"] = seconds(*wait.timeout);
    if (wait.progress) encoded["progress"] = true;
    return encoded;
}

Result<WaitParams> decode_wait(JsonValue encoded) {
    WaitParams wait;
    Params params(encoded, "operation.wait");
    get_selector(params, wait);
    params.get("any", wait.any);
    params.get("timeout", wait.timeout);
    params.get("progress", wait.progress);
    return finished(params, std::move(wait));
}

json encode(const SignalParams& signal) {
    json encoded{{"selector", encode_selector(signal.selector)}, {"signal", signal_name(signal.signal)}};
    if (signal.tree) encoded["tree"] = true;
    return encoded;
}

Result<SignalParams> decode_signal(JsonValue encoded) {
    SignalParams signal;
    Params params(encoded, "operation.signal");
    if (params.is_given("id"))
        params.get("id", signal.selector.ids.emplace_back(), 1);
    else
        params.require("selector");
    get_selector(params, signal);
    params.require("signal");
    params.get_signal("signal", signal.signal);
    params.get("tree", signal.tree);
    return finished(params, std::move(signal));
}

json encode(const PauseParams& pause) {
    return {{"selector", encode_selector(pause.selector)}, {"wait", pause.wait}};
}

Result<PauseParams> decode_pause(JsonValue encoded, std::string_view method) {
    PauseParams pause;
    Params params(encoded, method);
    get_selector(params, pause);
    params.get("wait", pause.wait);
    return finished(params, std::move(pause));
}

json encode(const ShowParams& show) {
    return {{"id", show.id}};
}

Result<ShowParams> decode_show(JsonValue encoded) {
    ShowParams show;
    Params params(encoded, "operation.show");
    params.require("id");
    params.get("id", show.id, 1);
    return finished(params, show);
}

json encode(const PruneParams& prune) {
    json encoded = json::object();
    if (prune.older_than) encoded["older_than"] = seconds(*prune.older_than);
    if (prune.request.keep) encoded["keep"] = *prune.request.keep;
    for (const Status status : prune.request.statuses)
        encoded["status"].push_back(to_string(status));
    if (prune.dry_run) encoded["dry_run"] = true;
    return encoded;
}

Result<PruneParams> decode_prune(JsonValue encoded) {
    PruneParams prune;
    Params params(encoded, "history.prune");
    params.get("older_than", prune.older_than);
    params.get("keep", prune.request.keep);
    std::vector<std::string> statuses;
    params.get("status", statuses);
    for (const std::string& name : statuses) {
        const auto status = parse_status(name);
        if (status && is_ended(*status))
            prune.request.statuses.push_back(*status);
        else
            params.fail("status", "knows no end \"" + name + "\"");
    }
    params.get("dry_run", prune.dry_run);
    if (prune.older_than) prune.request.ended_before = wall_now() - *prune.older_than;
    if (!prune.older_than && !prune.request.keep && prune.request.statuses.empty())
        params.fail("older_than", "or \"keep\" or \"status\" must say what is to be forgotten");
    return finished(params, std::move(prune));
}

json encode(const CurrentParams& current) {
    if (current.operation_id == 0) return json::object();
    return {{"operation_id", current.operation_id}};
}

Result<CurrentParams> decode_current(JsonValue encoded) {
    CurrentParams current;
    Params params(encoded, "operation.current");
    params.get("operation_id", current.operation_id);
    return finished(params, current);
}

json encode(const StopParams& stop) {
    return {{"mode", kModes[static_cast<std::size_t>(stop.mode)]}};
}

Result<StopParams> decode_stop(JsonValue encoded) {
    StopParams stop;
    Params params(encoded, "supervisor.stop");
    std::string name(kModes[0]);
    params.get("mode", name);
    const auto* found = std::ranges::find(kModes, name);
    if (found == kModes.end())
        params.fail("mode", R"(must be "refuse", "cancel" or "keep")");
    else
        stop.mode = static_cast<StopParams::Mode>(found - kModes.begin());
    return finished(params, stop);
}

json encode(const StatsParams& stats) {
    json encoded = json::object();
    if (json selector = encode_selector(stats.selector); !selector.empty())
        encoded["selector"] = std::move(selector);
    return encoded;
}

Result<StatsParams> decode_stats(JsonValue encoded) {
    StatsParams stats;
    Params params(encoded, "stats.get");
    get_selector(params, stats);
    return finished(params, std::move(stats));
}

Result<> decode_nothing(JsonValue encoded, std::string_view method) {
    return Params(encoded, method).finish();
}

}  // namespace cancelable::ipc
