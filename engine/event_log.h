// What happens to operations, as a numbered sequence that others can follow.
//
//   kind        when                                          fields beside the operation
//   accepted    a new operation is in the registry            -
//   adopted     one of an earlier supervisor's is taken over  pid, and as cancel has them: reason message by
//                                                             signals
//   status      a step that is no end: it runs, is paused,    from to
//               goes on
//   cancel      somebody asks for the end, or the shim does   reason message by signal grace now hurries
//   signal      a signal was sent                             signal to by
//   progress    it has said how far it is                     fraction text
//   result      it has put down a result                      bytes
//   survivors   what may not be signalled has changed         pids
//   hook        a hook of its has been run                    hook exit error
//   ended       the last step                                 from to exit duration error reason message
//                                                             signals processes meanwhile
//
// A new kind is a line in this table, an enumerator, and its name in kEventKinds; a new field is only a name
// and a value. Whoever follows passes over what it does not know.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "engine/operation.h"

namespace cancelable {

enum class EventKind : std::uint8_t {
    accepted,
    adopted,
    status,
    cancel,
    signal,
    progress,
    result,
    survivors,
    ended,
    hook
};

inline constexpr std::array<std::pair<EventKind, std::string_view>, 10> kEventKinds{{
    {EventKind::accepted, "accepted"},
    {EventKind::adopted, "adopted"},
    {EventKind::status, "status"},
    {EventKind::cancel, "cancel"},
    {EventKind::signal, "signal"},
    {EventKind::progress, "progress"},
    {EventKind::result, "result"},
    {EventKind::survivors, "survivors"},
    {EventKind::ended, "ended"},
    {EventKind::hook, "hook"},
}};

std::string_view to_string(EventKind kind) noexcept;
std::optional<EventKind> parse_event_kind(std::string_view name) noexcept;

struct SignalNumber {
    int number = 0;
    friend bool operator==(const SignalNumber&, const SignalNumber&) = default;
};

// What a field can hold. Bytes need not be UTF-8.
using EventValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>, std::vector<pid_t>,
                 std::vector<SignalNumber>, SignalNumber, std::chrono::microseconds, Status, Exit, Requester>;

struct EventField {
    std::string_view name;  // of static storage
    EventValue value;
};

struct Event {
    std::uint64_t sequence = 0;
    WallTime at{};
    EventKind kind{};
    Snapshot operation;  // as it was then; null where it is about none
    std::vector<EventField> fields;

    const EventValue* find(std::string_view name) const noexcept;
};

// The last events, numbered without a gap.
//
// Numbers start at the clock's microseconds, so that they grow from one supervisor to the next as well. Lives
// on one thread.
class EventLog {
public:
    struct Limits {
        std::size_t events = 10'000;
        std::size_t bytes = std::size_t{8} << 20;  // of what is held; the newest event is kept in any case
    };
    EventLog();
    explicit EventLog(Limits limits, std::uint64_t first_number = 0);  // 0: by the clock

    // Its number. Listeners run before this returns.
    std::uint64_t append(EventKind kind, Snapshot operation, std::vector<EventField> fields = {});

    // Null where it is forgotten, or has not happened yet. Valid until the next append().
    const Event* find(std::uint64_t sequence) const noexcept;

    std::uint64_t birth() const noexcept { return birth_; }                 // the first number ever given
    std::uint64_t next() const noexcept { return next_; }                   // the one that comes next
    std::uint64_t oldest() const noexcept { return next_ - kept_.size(); }  // next() where none is kept

    // Told of each append. It may only make a note of it: the log is in the middle of somebody's work.
    void on_append(std::function<void()> listener) { listener_ = std::move(listener); }

private:
    struct Shared {
        std::size_t holders = 0;
        std::size_t bytes = 0;
    };
    void hold(const Event& event);
    void let_go(const Event& event);

    Limits limits_;
    std::uint64_t birth_;
    std::uint64_t next_;
    std::deque<Event> kept_;
    std::size_t bytes_ = 0;
    std::unordered_map<const OperationSpec*, Shared> specs_;  // counted once, however many events hold them
    std::function<void()> listener_;
};

}  // namespace cancelable
