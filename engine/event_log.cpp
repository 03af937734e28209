#include "engine/event_log.h"

#include <algorithm>
#include <type_traits>

namespace cancelable {
namespace {

std::size_t bytes_of(const std::string& text) {
    return sizeof(std::string) + text.size();
}

template <class T>
std::size_t bytes_of(const std::vector<T>& elements) {
    std::size_t bytes = sizeof elements;
    for (const T& element : elements) {
        if constexpr (std::is_same_v<T, std::string>)
            bytes += bytes_of(element);
        else
            bytes += sizeof element;
    }
    return bytes;
}

template <class T>
std::size_t bytes_of(const T&) {
    return 0;
}

std::size_t spec_bytes(const OperationSpec& spec) {
    std::size_t bytes = sizeof spec + bytes_of(spec.name) + bytes_of(spec.command) + bytes_of(spec.cwd) +
                        bytes_of(spec.log) + bytes_of(spec.key);
    for (const auto& [key, value] : spec.tags)
        bytes += bytes_of(key) + bytes_of(value);
    return bytes;
}

// But for the spec, which many events share.
std::size_t own_bytes(const Event& event) {
    std::size_t bytes = sizeof event;
    for (const EventField& field : event.fields)
        bytes += sizeof field + std::visit([](const auto& value) { return bytes_of(value); }, field.value);
    if (!event.operation) return bytes;
    bytes += sizeof *event.operation + bytes_of(event.operation->error);
    if (const auto& cancelation = event.operation->cancelation)
        bytes += sizeof *cancelation + bytes_of(cancelation->message) + bytes_of(cancelation->survivors);
    return bytes;
}

std::uint64_t clock_number() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(wall_now().time_since_epoch()).count());
}

}  // namespace

std::string_view to_string(EventKind kind) noexcept {
    const auto* found = std::ranges::find(kEventKinds, kind, [](const auto& entry) { return entry.first; });
    return found == kEventKinds.end() ? "unknown" : found->second;
}

std::optional<EventKind> parse_event_kind(std::string_view name) noexcept {
    const auto* found = std::ranges::find(kEventKinds, name, [](const auto& entry) { return entry.second; });
    if (found == kEventKinds.end()) return std::nullopt;
    return found->first;
}

const EventValue* Event::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(fields, name, &EventField::name);
    return found == fields.end() ? nullptr : &found->value;
}

EventLog::EventLog() : EventLog(Limits{}) {}

EventLog::EventLog(Limits limits, std::uint64_t first_number)
    : limits_(limits), birth_(first_number != 0 ? first_number : clock_number()), next_(birth_) {}

std::uint64_t EventLog::append(EventKind kind, Snapshot operation, std::vector<EventField> fields) {
    kept_.push_back({next_++, wall_now(), kind, std::move(operation), std::move(fields)});
    hold(kept_.back());
    while (kept_.size() > 1 && (kept_.size() > limits_.events || bytes_ > limits_.bytes)) {
        let_go(kept_.front());
        kept_.pop_front();
    }
    const std::uint64_t number = kept_.back().sequence;
    if (listener_) listener_();
    return number;
}

const Event* EventLog::find(std::uint64_t sequence) const noexcept {
    if (sequence < oldest() || sequence >= next_) return nullptr;
    return &kept_[sequence - oldest()];
}

void EventLog::hold(const Event& event) {
    bytes_ += own_bytes(event);
    if (!event.operation) return;
    Shared& shared = specs_[event.operation->spec.get()];
    if (shared.holders++ > 0) return;
    shared.bytes = spec_bytes(*event.operation->spec);
    bytes_ += shared.bytes;
}

void EventLog::let_go(const Event& event) {
    bytes_ -= own_bytes(event);
    if (!event.operation) return;
    const auto shared = specs_.find(event.operation->spec.get());
    if (--shared->second.holders > 0) return;
    bytes_ -= shared->second.bytes;
    specs_.erase(shared);
}

}  // namespace cancelable
