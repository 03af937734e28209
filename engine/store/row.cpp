#include "engine/store/row.h"

#include <algorithm>
#include <bit>

#include "engine/shim/bytes.h"

namespace cancelable {
namespace {

using std::chrono::microseconds;

std::int64_t as_number(WallTime time) {
    return time.time_since_epoch().count();
}

template <class T>
std::optional<std::int64_t> as_number(const std::optional<T>& value) {
    if (!value) return std::nullopt;
    if constexpr (std::is_same_v<T, WallTime>)
        return as_number(*value);
    else
        return value->count();
}

std::optional<WallTime> as_time(std::optional<std::int64_t> number) {
    if (!number) return std::nullopt;
    return WallTime(microseconds(*number));
}

template <class T>
void put_list(ByteWriter& out, const std::vector<T>& list) {
    out.put(list.size());
    for (const T& element : list)
        out.put(element);
}

template <class T>
std::vector<T> get_list(ByteReader& in) {
    std::vector<T> list(in.get_count());
    for (T& element : list)
        element = in.get<T>();
    return list;
}

}  // namespace

std::vector<std::byte> encode_details(const Operation& operation) {
    ByteWriter out;
    // One that nobody could describe has no command, and is all in the columns.
    const bool described = !operation.spec->command.empty();
    const auto spec = described ? encode(*operation.spec, LaunchSettings{}) : std::vector<std::byte>();
    out.put(std::string_view(reinterpret_cast<const char*>(spec.data()), spec.size()));
    out.put(operation.error);
    out.put(operation.cancelation != nullptr);
    const Cancelation& cancelation = operation.cancelation ? *operation.cancelation : Cancelation{};
    out.put(cancelation.reason);
    out.put(cancelation.message);
    out.put(cancelation.by.uid);
    out.put(cancelation.by.pid);
    out.put(cancelation.signal);
    out.put(cancelation.requested_at.time_since_epoch());
    out.put(cancelation.gone_at.has_value());
    out.put(cancelation.gone_at.value_or(WallTime{}).time_since_epoch());
    put_list(out, cancelation.signals);
    out.put(cancelation.processes);
    put_list(out, cancelation.survivors);
    out.put(operation.usage.has_value());
    const Usage usage = operation.usage.value_or(Usage{});
    out.put(usage.user);
    out.put(usage.system);
    out.put(usage.max_rss_bytes);
    out.put(operation.progress != nullptr);
    const Progress progress = operation.progress ? *operation.progress : Progress{};
    out.put(std::bit_cast<std::int64_t>(progress.fraction));
    out.put(progress.text);
    out.put(progress.at.time_since_epoch());
    out.put(operation.result != nullptr);
    out.put(operation.result ? std::string_view(*operation.result) : std::string_view());
    return out.take();
}

bool decode_details(std::span<const std::byte> details, OperationSpec& spec, Operation& operation) {
    ByteReader in(details);
    const std::string_view blob = in.get_text();
    if (in.at_end()) return false;
    if (!blob.empty()) {
        auto decoded = decode_spec(std::as_bytes(std::span(blob)));
        if (!decoded || decoded->spec.id != spec.id) return false;
        spec = std::move(decoded->spec);
    }
    operation.error = in.get_text();
    const bool cancelled = in.get<bool>();
    Cancelation cancelation;
    cancelation.reason = in.get<CancelationReason>();
    cancelation.message = in.get_text();
    cancelation.by.uid = in.get<uid_t>();
    cancelation.by.pid = in.get<pid_t>();
    cancelation.signal = in.get<int>();
    cancelation.requested_at = WallTime(in.get_duration());
    const bool gone = in.get<bool>();
    const auto gone_at = WallTime(in.get_duration());
    if (gone) cancelation.gone_at = gone_at;
    cancelation.signals = get_list<int>(in);
    cancelation.processes = in.get<std::uint64_t>();
    cancelation.survivors = get_list<pid_t>(in);
    if (cancelled) operation.cancelation = std::make_shared<const Cancelation>(std::move(cancelation));
    const bool used = in.get<bool>();
    Usage usage;
    usage.user = in.get_duration();
    usage.system = in.get_duration();
    usage.max_rss_bytes = in.get<std::uint64_t>();
    if (used) operation.usage = usage;
    const bool has_said = in.get<bool>();
    Progress progress;
    progress.fraction = std::bit_cast<double>(in.get());
    progress.text = in.get_text();
    progress.at = WallTime(in.get_duration());
    if (has_said) operation.progress = std::make_shared<const Progress>(std::move(progress));
    const bool has_result = in.get<bool>();
    const std::string_view result = in.get_text();
    if (has_result) operation.result = std::make_shared<const std::string>(result);
    return !in.is_damaged();
}

std::optional<microseconds> cancel_latency(const Operation& operation) noexcept {
    const auto& cancelation = operation.cancelation;
    if (!cancelation || !cancelation->gone_at) return std::nullopt;
    return *cancelation->gone_at - cancelation->requested_at;
}

const char* const kRowColumns =
    "id, status, name, parent, created_at, started_at, ended_at, duration, exit_code, exit_signal, "
    "cancel_reason, cancel_latency, escalated, owner, key, log, details";
const char* const kRowPlaceholders = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";

void bind_row(Statement& statement, const Operation& operation, std::string_view owner,
              std::span<const std::byte> details) {
    const OperationSpec& spec = *operation.spec;
    const auto text_or_null = [&](std::string_view text) {
        if (text.empty())
            statement.bind_null();
        else
            statement.bind(text);
    };
    statement.bind(static_cast<std::int64_t>(spec.id)).bind(to_string(operation.status)).bind(spec.name);
    statement.bind(spec.parent == 0 ? std::nullopt : std::optional(static_cast<std::int64_t>(spec.parent)));
    statement.bind(as_number(spec.created_at)).bind(as_number(operation.started_at));
    statement.bind(as_number(operation.ended_at)).bind(as_number(operation.duration));
    std::optional<std::int64_t> code;
    std::optional<std::int64_t> signal;
    if (operation.exit) (operation.exit->by_signal ? signal : code) = operation.exit->value;
    statement.bind(code).bind(signal);
    text_or_null(operation.cancelation ? to_string(operation.cancelation->reason) : std::string_view());
    statement.bind(as_number(cancel_latency(operation)));
    statement.bind(std::int64_t{operation.cancelation && operation.cancelation->escalated()});
    text_or_null(owner);
    text_or_null(spec.key);
    text_or_null(spec.log);
    statement.bind(details);
}

Operation read_row(const Statement& row) {
    auto spec = std::make_shared<OperationSpec>();
    Operation operation;
    spec->id = static_cast<OperationId>(row.integer(0));
    const auto status = parse_status(row.text(1));
    operation.status = status.value_or(Status::lost);
    spec->name = row.text(2);
    spec->parent = static_cast<OperationId>(row.optional_integer(3).value_or(0));
    spec->created_at = WallTime(microseconds(row.integer(4)));
    spec->key = row.text(14);
    operation.started_at = as_time(row.optional_integer(5));
    operation.ended_at = as_time(row.optional_integer(6));
    if (const auto duration = row.optional_integer(7)) operation.duration = microseconds(*duration);
    if (const auto code = row.optional_integer(8)) operation.exit = Exit{false, static_cast<int>(*code)};
    if (const auto signal = row.optional_integer(9)) operation.exit = Exit{true, static_cast<int>(*signal)};
    if (!decode_details(row.blob(16), *spec, operation) || !status)
        operation.error = "its record in the history is damaged";
    operation.spec = std::move(spec);
    return operation;
}

}  // namespace cancelable
