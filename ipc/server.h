#pragma once

#include <unistd.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "ipc/connection.h"

namespace cancelable::ipc {

// Accepts connections on a loop and hands their requests to a handler.
//
// Only the owner and root are let in. A peer that breaks a rule or passes a bound loses its connection and
// nothing else happens; who is turned away is told why.
class Server {
public:
    struct Settings {
        uid_t owner = ::geteuid();
        std::size_t max_connections = 4096;
        std::function<void(std::size_t)> on_connections;  // their number, whenever it has changed
    };

    // `listener` is listening and non-blocking. The handler must outlive the server.
    Server(Loop& loop, UniqueFd listener, Handler& handler, Settings settings);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Nobody new is let in; connections that are there go on.
    void stop_accepting() noexcept;

    // To everybody who is connected, as far as they read.
    void notify_all(std::string_view method, const nlohmann::json& params);

    std::size_t connections() const noexcept { return connections_.size(); }

private:
    void accept_some();
    bool accept_one();
    void admit(UniqueFd fd);
    bool turn_away_without_descriptors();
    void pause_accepting();
    void on_state(const Connection& connection);
    void sweep();
    void probe_half_closed();

    Loop& loop_;
    Handler& handler_;
    Settings settings_;
    UniqueFd listener_;
    UniqueFd reserve_;  // given up for a moment when there is no other descriptor left to accept with
    std::unordered_map<const Connection*, std::shared_ptr<Connection>> connections_;
    std::vector<const Connection*> doomed_;
    Timer sweeper_;
    Timer prober_;
    Timer accept_again_;
    std::unique_ptr<Watch> watch_;  // Last: it must stop before its descriptor is closed.
};

}  // namespace cancelable::ipc
