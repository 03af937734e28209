#include "ipc/results.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

json timestamp_or_null(const std::optional<WallTime>& time) {
    if (!time) return nullptr;
    return format_timestamp(*time);
}

json encode_exit(const Exit& exit) {
    if (exit.by_signal) return {{"signal", signal_name(exit.value)}};
    return {{"code", exit.value}};
}

json encode_cancelation(const Cancelation& cancelation) {
    json signals = json::array();
    for (const int signal : cancelation.signals)
        signals.push_back(signal_name(signal));
    return {{"reason", to_string(cancelation.reason)},
            {"message", to_utf8(cancelation.message)},
            {"by", {{"uid", cancelation.by.uid}, {"pid", cancelation.by.pid}}},
            {"requested_at", format_timestamp(cancelation.requested_at)},
            {"gone_at", timestamp_or_null(cancelation.gone_at)},
            {"signals", std::move(signals)},
            {"processes", cancelation.processes},
            {"survivors", cancelation.survivors}};
}

json encode_usage(const Usage& usage) {
    return {
        {"user", seconds(usage.user)}, {"system", seconds(usage.system)}, {"max_rss", usage.max_rss_bytes}};
}

json encode_shielded(const Shielded& shielded) {
    return {{"count", shielded.count},
            {"limit", seconds(shielded.limit)},
            {"until", timestamp_or_null(shielded.until)}};
}

// Of a live operation by the wall clock, which may have been set back meanwhile.
double duration_seconds(const Operation& operation, WallTime now) {
    if (operation.duration) return seconds(*operation.duration);
    if (!operation.started_at) return 0;
    return std::max(0.0, seconds(operation.ended_at.value_or(now) - *operation.started_at));
}

json encode_hooks(const HookSettings& hooks) {
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? json() : json(to_utf8(text));
    };
    return {{"on_start", text_or_null(hooks.on_start)},
            {"on_cancel", text_or_null(hooks.on_cancel)},
            {"on_end", text_or_null(hooks.on_end)},
            {"timeout", seconds(hooks.time_limit)}};
}

json encode_counts(const std::map<Status, std::uint64_t>& counts) {
    json encoded = json::object();
    for (const auto& [status, count] : counts)
        encoded[std::string(to_string(status))] = count;
    return encoded;
}

json encode_percentiles(const Percentiles& percentiles) {
    return {{"p50", percentiles.p50}, {"p90", percentiles.p90}, {"p99", percentiles.p99}};
}

}  // namespace

json encode_operation(const Operation& operation, WallTime now) {
    const OperationSpec& spec = *operation.spec;
    json encoded = json::object();
    encoded["id"] = spec.id;
    encoded["name"] = to_utf8(spec.name);
    encoded["status"] = to_string(operation.status);
    json& command = encoded["command"] = json::array();
    for (const std::string& word : spec.command)
        command.push_back(to_utf8(word));
    encoded["cwd"] = to_utf8(spec.cwd);
    json& tags = encoded["tags"] = json::object();
    for (const auto& [key, value] : spec.tags)
        tags[to_utf8(key)] = to_utf8(value);
    encoded["parent"] = spec.parent == 0 ? json() : json(spec.parent);
    encoded["pid"] = operation.pid ? json(*operation.pid) : json();
    encoded["detached"] = spec.detached;
    encoded["created_at"] = format_timestamp(spec.created_at);
    encoded["started_at"] = timestamp_or_null(operation.started_at);
    encoded["ended_at"] = timestamp_or_null(operation.ended_at);
    encoded["duration"] = duration_seconds(operation, now);
    encoded["exit"] = operation.exit ? encode_exit(*operation.exit) : json();
    encoded["timeout"] = spec.timeout.count() == 0 ? json() : json(seconds(spec.timeout));
    encoded["grace"] = seconds(spec.grace);
    json& sources = encoded["cancel_on"] = json::array();
    for (const std::string& source : spec.cancel_on)
        sources.push_back(to_utf8(source));
    encoded["hooks"] = spec.hooks.any() ? encode_hooks(spec.hooks) : json();
    encoded["cancel"] = operation.cancelation ? encode_cancelation(*operation.cancelation) : json();
    encoded["usage"] = operation.usage ? encode_usage(*operation.usage) : json();
    encoded["shielded"] = operation.shielded ? encode_shielded(*operation.shielded) : json();
    encoded["progress"] = operation.progress ? encode_progress(*operation.progress) : json();
    encoded["log"] = spec.log.empty() ? json() : json(to_utf8(spec.log));
    encoded["error"] = operation.error.empty() ? json() : json(to_utf8(operation.error));
    if (!operation.unstoppable.empty()) encoded["unstoppable"] = operation.unstoppable;
    return encoded;
}

JsonText encode_brief(const Operation& operation) {
    JsonWriter out;
    out.begin_object().member("id", operation.id());
    return out.member("status", to_string(operation.status)).end_object().take();
}

json encode_progress(const Progress& progress) {
    return {{"fraction", progress.fraction},
            {"text", to_utf8(progress.text)},
            {"at", format_timestamp(progress.at)}};
}

void add_result(json& encoded, const Operation& operation) {
    encoded["result"] = operation.result ? bytes_to_json(*operation.result) : json();
}

void add_hook_failures(json& encoded, const std::vector<HookFailure>& failures) {
    json& array = encoded["hook_failures"] = json::array();
    for (const HookFailure& failure : failures)
        array.push_back({{"event", to_string(failure.event)},
                         {"exit", failure.exit ? encode_exit(*failure.exit) : json()},
                         {"error", failure.error.empty() ? json() : json(to_utf8(failure.error))},
                         {"at", format_timestamp(failure.at)}});
}

json encode_operations(const std::vector<Snapshot>& snapshots) {
    json operations = json::array();
    const WallTime time = wall_now();
    for (const Snapshot& snapshot : snapshots)
        operations.push_back(encode_operation(*snapshot, time));
    return operations;
}

json encode_info(const SupervisorInfo& info) {
    return {{"pid", info.pid},
            {"version", info.version},
            {"protocol", info.protocol},
            {"uptime", info.uptime_seconds},
            {"socket", to_utf8(info.socket)},
            {"rss", info.rss_bytes}};
}

json encode_statistics(const Statistics& statistics, const SupervisorInfo& info) {
    return {{"total_operations", statistics.total_operations},
            {"running_operations", statistics.running_operations},
            {"cancelled_operations", statistics.cancelled_operations},
            {"active_operations", statistics.active_operations},
            {"active_by_status", encode_counts(statistics.active_by_status)},
            {"history_size", statistics.history_size},
            {"history_by_status", encode_counts(statistics.history_by_status)},
            {"total_completed", statistics.total_completed},
            {"average_duration_seconds", statistics.average_duration_seconds},
            {"duration", encode_percentiles(statistics.duration)},
            {"cancel_latency", encode_percentiles(statistics.cancel_latency)},
            {"escalated", statistics.escalated},
            {"supervisor", encode_info(info)}};
}

}  // namespace cancelable::ipc
