#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/event_log.h"
#include "engine/loop.h"
#include "ipc/connection.h"
#include "ipc/event_codec.h"

namespace cancelable::ipc {

// Those who follow the events, each at its own pace.
//
// A subscription is no more than a place in the engine's log. It is sent more only once the kernel has taken
// all that was sent before, so a peer that does not read costs no memory and holds up nobody; when it reads
// on and the log has gone on without it, it is told what it missed. Everybody gets a few events in each turn
// of the loop.
class EventStreams {
public:
    // The log must outlive this.
    EventStreams(Loop& loop, EventLog& log);
    ~EventStreams();
    EventStreams(const EventStreams&) = delete;
    EventStreams& operator=(const EventStreams&) = delete;

    // The answer. Events follow from the next turn of the loop on, so that the answer is there before them.
    Result<nlohmann::json> subscribe(const std::shared_ptr<Connection>& connection, SubscribeParams params);
    Result<nlohmann::json> unsubscribe(const Connection* connection, std::uint64_t number);

    // As a Handler is told of it.
    void drained(const Connection& connection);
    void closed(const Connection& connection) noexcept;

    std::size_t size() const noexcept { return streams_.size(); }

private:
    struct Missed {
        std::uint64_t from = 0;
        std::uint64_t to = 0;
        std::string_view reason;
    };
    struct Stream {
        const Connection* connection;  // to compare only
        Hold hold;
        Selector selector;
        std::vector<EventKind> kinds;
        std::uint64_t next;                  // the event to look at next
        std::optional<std::uint64_t> until;  // ends there
        std::optional<Missed> missed;        // to be told first
    };
    bool picks(const Stream& stream, const Event& event) const;
    std::uint64_t place_of_last(std::size_t count, const Stream& stream) const;
    void pump();
    bool advance(std::uint64_t number, Stream& stream, Connection& peer);
    void schedule();

    EventLog& log_;
    std::unordered_map<std::uint64_t, Stream> streams_;
    std::uint64_t last_number_ = 0;
    Timer pump_;
};

}  // namespace cancelable::ipc
