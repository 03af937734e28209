// A connection's life.
//
//   from \ to    half-closed  doomed
//   open              x          x
//   half-closed                  x
//
// open: requests are read. half-closed: the peer has said all it will say and still waits for answers.
// doomed: nothing is read or sent any more; the server drops it in the next turn of the loop, and only then
// tells the handler. So neither a connection nor what hangs on it goes away while somebody up the stack is
// using it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "ipc/framing.h"
#include "ipc/rpc.h"
#include "ipc/socket.h"

namespace cancelable::ipc {

class Connection;

// Keeps a half-closed connection from being dropped, for as long as something is still to be sent to it. Does
// not keep the object itself: the peer may go away at any time.
class Hold {
public:
    explicit Hold(const std::shared_ptr<Connection>& connection);
    Hold(Hold&&) noexcept = default;
    Hold& operator=(Hold&&) = delete;
    ~Hold();

    // Null once the peer is gone.
    std::shared_ptr<Connection> connection() const noexcept { return connection_.lock(); }

private:
    std::weak_ptr<Connection> connection_;
};

// The way back of one request: to be used once, now or later. After the peer has gone it does nothing.
// Dropped unused, it tells the peer that its request was dropped; for a notification, which has no id, it
// says nothing at all.
class Answer {
public:
    Answer(const std::shared_ptr<Connection>& connection, std::optional<RequestId> id);
    Answer(Answer&&) noexcept = default;
    Answer& operator=(Answer&&) = delete;
    ~Answer();

    void result(const nlohmann::json& result) { result_text(to_text(result)); }
    void result_text(JsonText result);
    void error(const RpcError& error);
    void error(const Error& error) { this->error(to_rpc(error)); }

    std::shared_ptr<Connection> connection() const noexcept { return hold_.connection(); }

private:
    Hold hold_;
    std::optional<RequestId> id_;
};

// What a server's connections are for. Both are called on the loop's thread.
class Handler {
public:
    virtual ~Handler() = default;
    virtual void handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) = 0;

    // Nothing more can be sent to it. Its object is still there, and is not in use by anybody.
    virtual void closed(const Connection& connection) noexcept = 0;

    // What had to wait for the peer to read has been sent. It may only make a note of it: something is being
    // sent just now.
    virtual void drained(const Connection& connection) { static_cast<void>(connection); }
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    // `on_state` is called after each step of the state; the object must outlive that call.
    using OnState = std::function<void(const Connection&)>;
    Connection(Loop& loop, UniqueFd fd, PeerCredentials peer, Handler& handler, OnState on_state);

    const PeerCredentials& peer() const noexcept { return peer_; }
    Result<PeerProcess> peer_process() const { return ipc::peer_process(fd_.get()); }

    // False, and nothing is sent, where it is longer than a message may be.
    bool notify(std::string_view method, const nlohmann::json& params) {
        return notify_text(method, to_text(params));
    }
    bool notify_text(std::string_view method, const JsonText& params);

    // What waits for the peer to read.
    std::size_t unsent_bytes() const noexcept { return output_.size_bytes(); }

    // A half-closed peer that has gone altogether is noticed only by looking: the server does now and then.
    bool is_half_closed() const noexcept { return state_ == State::half_closed; }
    bool is_doomed() const noexcept { return state_ == State::doomed; }
    void look_for_hangup();

    // True while the peer has not read all that was sent to it.
    bool is_behind() const noexcept { return !output_.empty(); }

    // Nothing is read or sent any more.
    void doom();

private:
    friend class Hold;
    friend class Answer;
    enum class State : std::uint8_t { open, half_closed, doomed };

    void on_ready(Readiness readiness);
    void read_once();
    void handle_lines();
    void read_ended();
    void handle_line(std::string_view line);
    void send(std::string line);
    void flush();
    void fail(const Error& error);
    void drop_if_done();
    void become(State state);
    void update_interest();

    UniqueFd fd_;
    PeerCredentials peer_;
    Handler& handler_;
    OnState on_state_;
    State state_ = State::open;
    FrameReader reader_;
    OutputQueue output_;
    std::size_t holds_ = 0;
    bool waiting_ = false;  // for the peer to read
    bool backlog_ = false;  // requests have been read and not yet handled
    Timer next_turn_;
    Watch watch_;  // Last: it must stop before its descriptor is closed.
};

}  // namespace cancelable::ipc
