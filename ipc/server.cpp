#include "ipc/server.h"

#include <cerrno>
#include <utility>

#include "ipc/rpc.h"
#include "ipc/socket.h"

namespace cancelable::ipc {
namespace {

// As many as one turn of the loop takes in: who is connected already waits no longer than that.
constexpr int kAcceptsPerTurn = 16;

constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kProbeInterval{1};

void turn_away(const UniqueFd& fd, const Error& error) {
    const std::string line = build_error({"null"}, to_rpc(error)) + "\n";
    // If the peer has gone already, nobody wants to know.
    [[maybe_unused]] const auto sent = send_some(fd.get(), line, {});
}

UniqueFd open_reserve() {
    auto fd = open_file("/dev/null", O_RDONLY);
    return fd ? std::move(*fd) : UniqueFd();
}

}  // namespace

Server::Server(Loop& loop, UniqueFd listener, Handler& handler, Settings settings)
    : loop_(loop),
      handler_(handler),
      settings_(std::move(settings)),
      listener_(std::move(listener)),
      reserve_(open_reserve()),
      sweeper_(loop, [this] { sweep(); }),
      prober_(loop, [this] { probe_half_closed(); }),
      accept_again_(loop,
                    [this] {
                        if (watch_) watch_->want(true, false);
                    }),
      watch_(std::make_unique<Watch>(loop, listener_.get(), [this](Readiness) { accept_some(); })) {
    watch_->want(true, false);
}

Server::~Server() {
    // Doomed first: a client whose request is dropped below is to see a lost connection, after which it looks
    // for the next supervisor, and not an error.
    for (const auto& [key, connection] : connections_)
        connection->doom();
    sweep();
}

void Server::stop_accepting() noexcept {
    watch_.reset();
    listener_.reset();
}

void Server::notify_all(std::string_view method, const nlohmann::json& params) {
    for (const auto& [key, connection] : connections_)
        connection->notify(method, params);
}

void Server::accept_some() {
    for (int i = 0; i < kAcceptsPerTurn; ++i)
        if (!accept_one()) return;
}

// False: that is all for now.
bool Server::accept_one() {
    auto fd = accept_from(listener_.get());
    if (fd) {
        admit(std::move(*fd));
        return true;
    }
    switch (fd.error().os_errno) {
        case EAGAIN:
            return false;
        case ECONNABORTED:
            return true;
        case EMFILE:
        case ENFILE:
            return turn_away_without_descriptors();
        default:
            pause_accepting();
            return false;
    }
}

void Server::admit(UniqueFd fd) {
    const auto peer = peer_credentials(fd.get());
    if (!peer) return;
    if (peer->uid != settings_.owner && peer->uid != 0)
        return turn_away(fd, {ErrorCode::refused, "this supervisor belongs to another user", 0});
    if (connections_.size() >= settings_.max_connections)
        return turn_away(fd, {ErrorCode::limit,
                              "the supervisor has " + std::to_string(connections_.size()) +
                                  " connections and takes no more",
                              0});
    auto connection = std::make_shared<Connection>(loop_, std::move(fd), *peer, handler_,
                                                   [this](const Connection& changed) { on_state(changed); });
    connections_.emplace(connection.get(), connection);
    if (settings_.on_connections) settings_.on_connections(connections_.size());
}

// A waiting connection that cannot be accepted keeps the listener readable, and the loop would spin on it. So
// the reserve makes room for as long as it takes to tell the peer why.
bool Server::turn_away_without_descriptors() {
    reserve_.reset();
    auto fd = accept_from(listener_.get());
    if (fd)
        turn_away(*fd, {ErrorCode::limit, "the supervisor has no free file descriptor for a connection", 0});
    const bool more = fd.has_value();
    if (fd) fd->reset();
    reserve_ = open_reserve();
    if (more && reserve_) return true;
    pause_accepting();
    return false;
}

void Server::pause_accepting() {
    watch_->want(false, false);
    accept_again_.start(kAcceptPause);
    if (!reserve_) reserve_ = open_reserve();
}

void Server::on_state(const Connection& connection) {
    if (connection.is_doomed()) {
        doomed_.push_back(&connection);
        sweeper_.start(std::chrono::milliseconds(0));
    } else if (!prober_.is_active()) {
        prober_.start(kProbeInterval);
    }
}

void Server::sweep() {
    for (const Connection* key : std::exchange(doomed_, {})) {
        const auto found = connections_.find(key);
        if (found == connections_.end()) continue;
        const auto connection = std::move(found->second);
        connections_.erase(found);
        handler_.closed(*connection);
        if (settings_.on_connections) settings_.on_connections(connections_.size());
    }
}

void Server::probe_half_closed() {
    bool any = false;
    for (const auto& [key, connection] : connections_) {
        if (connection->is_half_closed()) connection->look_for_hangup();
        any = any || connection->is_half_closed();
    }
    if (any) prober_.start(kProbeInterval);
}

}  // namespace cancelable::ipc
