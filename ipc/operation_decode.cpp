// The way back from an operation's JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"
#include "ipc/results.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

// What is wrong with a field, on the way to the one place that turns it into an Error.
struct BadField {
    std::string name;
};

template <class T>
T get(const json& object, const char* name) {
    return object.at(name).get<T>();
}

// Absent in the JSON of an older supervisor, or null: nothing.
template <class T>
std::optional<T> get_optional(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::nullopt;
    return found->get<T>();
}

template <class Duration>
Duration from_seconds(double seconds) {
    return std::chrono::round<Duration>(std::chrono::duration<double>(seconds));
}

std::optional<WallTime> get_time(const json& object, const char* name) {
    const auto text = get_optional<std::string>(object, name);
    if (!text) return std::nullopt;
    const auto time = parse_timestamp(*text);
    if (!time) throw BadField{name};
    return time;
}

int signal_of(const json& name, const char* field) {
    const auto signal = parse_signal(name.get_ref<const std::string&>());
    if (!signal) throw BadField{field};
    return *signal;
}

Exit decode_exit(const json& object) {
    if (object.contains("signal")) return {true, signal_of(object.at("signal"), "exit")};
    return {false, get<int>(object, "code")};
}

Cancelation decode_cancelation(const json& object) {
    Cancelation cancelation;
    const auto reason = parse_reason(get<std::string>(object, "reason"));
    if (!reason) throw BadField{"reason"};
    cancelation.reason = *reason;
    cancelation.message = get<std::string>(object, "message");
    cancelation.by = {get<uid_t>(object.at("by"), "uid"), get<pid_t>(object.at("by"), "pid")};
    cancelation.requested_at = get_time(object, "requested_at").value_or(WallTime{});
    cancelation.gone_at = get_time(object, "gone_at");
    for (const json& name : object.at("signals"))
        cancelation.signals.push_back(signal_of(name, "signals"));
    cancelation.processes = get<std::uint64_t>(object, "processes");
    cancelation.survivors = get<std::vector<pid_t>>(object, "survivors");
    return cancelation;
}

Usage decode_usage(const json& object) {
    return {from_seconds<std::chrono::microseconds>(get<double>(object, "user")),
            from_seconds<std::chrono::microseconds>(get<double>(object, "system")),
            get<std::uint64_t>(object, "max_rss")};
}

Shielded decode_shielded(const json& object) {
    return {get<std::size_t>(object, "count"),
            from_seconds<std::chrono::milliseconds>(get<double>(object, "limit")), get_time(object, "until")};
}

Progress decode_progress_fields(const json& object) {
    return {get<double>(object, "fraction"), get<std::string>(object, "text"),
            get_time(object, "at").value_or(WallTime{})};
}

std::string decode_result_bytes(const json& value) {
    if (value.is_string()) return value.get<std::string>();
    auto bytes = decode_base64(get<std::string>(value, "base64"));
    if (!bytes) throw BadField{"result"};
    return std::move(*bytes);
}

HookFailure decode_hook_failure(const json& object) {
    HookFailure failure;
    const auto event = parse_hook_event(get<std::string>(object, "event"));
    if (!event) throw BadField{"hook_failures"};
    failure.event = *event;
    if (const auto& exit = object.at("exit"); !exit.is_null()) failure.exit = decode_exit(exit);
    failure.error = get_optional<std::string>(object, "error").value_or("");
    failure.at = get_time(object, "at").value_or(WallTime{});
    return failure;
}

OperationSpec decode_spec_fields(const json& object) {
    OperationSpec spec;
    spec.id = get<OperationId>(object, "id");
    spec.name = get<std::string>(object, "name");
    spec.command = get<std::vector<std::string>>(object, "command");
    spec.cwd = get<std::string>(object, "cwd");
    for (const auto& [key, value] : object.at("tags").items())
        spec.tags.emplace_back(key, value.get<std::string>());
    spec.parent = get_optional<OperationId>(object, "parent").value_or(0);
    spec.detached = get<bool>(object, "detached");
    spec.created_at = get_time(object, "created_at").value_or(WallTime{});
    spec.timeout =
        from_seconds<std::chrono::milliseconds>(get_optional<double>(object, "timeout").value_or(0));
    spec.grace = from_seconds<std::chrono::milliseconds>(get_optional<double>(object, "grace").value_or(0));
    spec.cancel_on =
        get_optional<std::vector<std::string>>(object, "cancel_on").value_or(std::vector<std::string>());
    spec.log = get_optional<std::string>(object, "log").value_or("");
    if (const auto hooks = object.find("hooks"); hooks != object.end() && !hooks->is_null()) {
        spec.hooks.on_start = get_optional<std::string>(*hooks, "on_start").value_or("");
        spec.hooks.on_cancel = get_optional<std::string>(*hooks, "on_cancel").value_or("");
        spec.hooks.on_end = get_optional<std::string>(*hooks, "on_end").value_or("");
        spec.hooks.time_limit = from_seconds<std::chrono::milliseconds>(get<double>(*hooks, "timeout"));
    }
    return spec;
}

}  // namespace

Result<Operation> decode_operation(const json& object) {
    // The JSON library reports a wrong type by throwing; here it ends.
    try {
        Operation operation;
        operation.spec = std::make_shared<const OperationSpec>(decode_spec_fields(object));
        const auto status = parse_status(get<std::string>(object, "status"));
        if (!status) throw BadField{"status"};
        operation.status = *status;
        operation.pid = get_optional<pid_t>(object, "pid");
        operation.started_at = get_time(object, "started_at");
        operation.ended_at = get_time(object, "ended_at");
        if (const auto duration = get_optional<double>(object, "duration"))
            operation.duration = from_seconds<std::chrono::microseconds>(*duration);
        if (const auto& exit = object.at("exit"); !exit.is_null()) operation.exit = decode_exit(exit);
        operation.error = get_optional<std::string>(object, "error").value_or("");
        if (const auto& cancelation = object.at("cancel"); !cancelation.is_null())
            operation.cancelation = std::make_shared<const Cancelation>(decode_cancelation(cancelation));
        if (const auto& usage = object.at("usage"); !usage.is_null()) operation.usage = decode_usage(usage);
        if (const auto found = object.find("shielded"); found != object.end() && !found->is_null())
            operation.shielded = decode_shielded(*found);
        if (const auto found = object.find("progress"); found != object.end() && !found->is_null())
            operation.progress = std::make_shared<const Progress>(decode_progress_fields(*found));
        if (const auto found = object.find("result"); found != object.end() && !found->is_null())
            operation.result = std::make_shared<const std::string>(decode_result_bytes(*found));
        if (object.contains("unstoppable"))
            operation.unstoppable = get<std::vector<pid_t>>(object, "unstoppable");
        if (const auto found = object.find("hook_failures"); found != object.end() && !found->is_null())
            for (const json& failure : *found)
                operation.hook_failures.push_back(decode_hook_failure(failure));
        return operation;
    } catch (const json::exception&) {
        return failure(ErrorCode::protocol,
                       "the supervisor described an operation in a way that makes no sense");
    } catch (const BadField& field) {
        return failure(ErrorCode::protocol, "the supervisor described an operation with a \"" + field.name +
                                                "\" that makes no sense");
    }
}

Result<Progress> decode_shown_progress(const json& object) {
    const auto nonsense = [] {
        return failure(ErrorCode::protocol,
                       "the supervisor described a progress in a way that makes no sense");
    };
    try {
        return decode_progress_fields(object);
    } catch (const json::exception&) {
        return nonsense();
    } catch (const BadField&) {
        return nonsense();
    }
}

}  // namespace cancelable::ipc
