#include "ipc/event_streams.h"

#include <algorithm>
#include <string>
#include <utility>

namespace cancelable::ipc {
namespace {

using nlohmann::json;

// How many events a subscription may look at in one turn of the loop.
constexpr int kEventsPerTurn = 64;

constexpr std::size_t kMaxSubscriptions = 16;  // of one connection

}  // namespace

EventStreams::EventStreams(Loop& loop, EventLog& log) : log_(log), pump_(loop, [this] { pump(); }) {
    log_.on_append([this] { schedule(); });
}

EventStreams::~EventStreams() {
    log_.on_append(nullptr);
}

Result<json> EventStreams::subscribe(const std::shared_ptr<Connection>& connection, SubscribeParams params) {
    const auto own = std::ranges::count_if(
        streams_, [&](const auto& entry) { return entry.second.connection == connection.get(); });
    if (static_cast<std::size_t>(own) >= kMaxSubscriptions)
        return failure(ErrorCode::limit, "this connection has " + std::to_string(own) +
                                             " subscriptions already: end one, or use another connection");
    Stream stream{.connection = connection.get(),
                  .hold = Hold(connection),
                  .selector = std::move(params.selector),
                  .kinds = std::move(params.kinds),
                  .next = log_.next(),
                  .until = {},
                  .missed = {}};
    if (!params.follow) stream.until = log_.next();
    if (params.after) {
        // A number that this log never gave is another supervisor's. Whatever that one told after it is not
        // known here, and all that is known here is new to the subscriber.
        stream.next = *params.after + 1;
        if (*params.after < log_.birth() - 1 || *params.after >= log_.next()) {
            stream.missed = {{*params.after + 1, log_.birth() - 1, "restart"}};
            stream.next = log_.birth();
        }
    } else if (params.replay) {
        stream.next = place_of_last(*params.replay, stream);
    } else if (!params.follow) {
        stream.next = log_.oldest();
    }
    const std::uint64_t number = ++last_number_;
    streams_.emplace(number, std::move(stream));
    schedule();
    return json{{"subscription", number}, {"sequence", log_.next() - 1}, {"oldest", log_.oldest()}};
}

Result<json> EventStreams::unsubscribe(const Connection* connection, std::uint64_t number) {
    const auto stream = streams_.find(number);
    if (stream == streams_.end() || stream->second.connection != connection)
        return failure(ErrorCode::not_found, "this connection has no subscription " + std::to_string(number));
    streams_.erase(stream);
    return json::object();
}

bool EventStreams::picks(const Stream& stream, const Event& event) const {
    if (!stream.kinds.empty() && std::ranges::find(stream.kinds, event.kind) == stream.kinds.end())
        return false;
    if (!event.operation) return stream.selector.empty();
    return stream.selector.matches(*event.operation, event.at);
}

std::uint64_t EventStreams::place_of_last(std::size_t count, const Stream& stream) const {
    std::uint64_t place = log_.next();
    for (std::uint64_t at = log_.next(); count > 0 && at > log_.oldest(); --at) {
        if (!picks(stream, *log_.find(at - 1))) continue;
        place = at - 1;
        --count;
    }
    return place;
}

void EventStreams::schedule() {
    if (!streams_.empty() && !pump_.is_active()) pump_.start(std::chrono::milliseconds(0));
}

void EventStreams::pump() {
    bool more = false;
    std::vector<std::uint64_t> done;
    for (auto& [number, stream] : streams_) {
        const auto peer = stream.hold.connection();
        // One that is gone is taken out by closed(); its Hold must not be dropped up the stack of its own.
        if (!peer || peer->is_doomed() || peer->unsent_bytes() > 0) continue;
        more = advance(number, stream, *peer) || more;
        if (stream.until && stream.next >= *stream.until && !peer->is_doomed()) {
            peer->notify("events.end", {{"subscription", number}, {"sequence", *stream.until - 1}});
            done.push_back(number);
        }
    }
    for (const std::uint64_t number : done)
        streams_.erase(number);
    if (more) schedule();
}

// True where it has more to look at and may go on at once.
bool EventStreams::advance(std::uint64_t number, Stream& stream, Connection& peer) {
    const auto goes_on = [&] { return !peer.is_doomed() && peer.unsent_bytes() == 0; };
    const auto tell_missed = [&](const Missed& missed) {
        peer.notify(
            "events.missed",
            {{"subscription", number}, {"from", missed.from}, {"to", missed.to}, {"reason", missed.reason}});
    };
    if (stream.missed) tell_missed(*std::exchange(stream.missed, std::nullopt));
    if (stream.next < log_.oldest()) {
        tell_missed({stream.next, log_.oldest() - 1, "behind"});
        stream.next = log_.oldest();
    }
    const std::uint64_t end = stream.until.value_or(log_.next());
    for (int looked = 0; looked < kEventsPerTurn && stream.next < end && goes_on(); ++looked) {
        const Event& event = *log_.find(stream.next++);
        if (!picks(stream, event)) continue;
        if (!peer.notify("event", {{"subscription", number}, {"event", encode_event(event)}}))
            tell_missed({event.sequence, event.sequence, "too_large"});
    }
    return stream.next < end && goes_on();
}

void EventStreams::drained(const Connection& connection) {
    if (std::ranges::any_of(streams_,
                            [&](const auto& entry) { return entry.second.connection == &connection; }))
        schedule();
}

void EventStreams::closed(const Connection& connection) noexcept {
    std::erase_if(streams_, [&](const auto& entry) { return entry.second.connection == &connection; });
}

}  // namespace cancelable::ipc
