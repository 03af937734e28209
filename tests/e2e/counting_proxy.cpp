#include "tests/e2e/counting_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

namespace cancelable::e2e {
namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long: " + path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

UniqueFd stream_socket() {
    return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

struct Relay {
    UniqueFd client;
    UniqueFd supervisor;
    std::string from_client;  // since the last line feed
};

// False at the end of the stream.
bool hand_on(int from, int to, std::string* copy) {
    char buffer[65536];
    const ssize_t got = ::read(from, buffer, sizeof buffer);
    if (got <= 0) return false;
    if (copy != nullptr) copy->append(buffer, static_cast<std::size_t>(got));
    return write_all(to, std::as_bytes(std::span(buffer, static_cast<std::size_t>(got)))).has_value();
}

}  // namespace

CountingProxy::CountingProxy(const std::string& listen_path, std::string supervisor_socket)
    : supervisor_socket_(std::move(supervisor_socket)), listener_(stream_socket()) {
    const sockaddr_un address = address_of(listen_path);
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 8) != 0)
        throw std::runtime_error("cannot listen on " + listen_path);
    if (::geteuid() == 0 && ::chown(listen_path.c_str(), test_user(), test_group()) != 0)
        throw std::runtime_error("cannot chown " + listen_path);
}

void CountingProxy::count(const std::string& line) {
    ++requests_[nlohmann::json::parse(line).at("method").get<std::string>()];
}

void CountingProxy::serve(const Child& client) {
    const Deadline deadline;
    std::list<Relay> relays;
    while (!client.has_ended()) {
        std::vector<pollfd> entries{{client.pidfd(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        for (const Relay& relay : relays) {
            entries.push_back({relay.client.get(), POLLIN, 0});
            entries.push_back({relay.supervisor.get(), POLLIN, 0});
        }
        if (::poll(entries.data(), entries.size(), deadline.remaining_ms()) == 0)
            throw Impatient("the client goes on and on");
        std::size_t at = 2;
        for (auto relay = relays.begin(); relay != relays.end(); at += 2) {
            bool open = true;
            if (entries[at].revents != 0) {
                open = hand_on(relay->client.get(), relay->supervisor.get(), &relay->from_client);
                for (std::size_t end; (end = relay->from_client.find('\n')) != std::string::npos;
                     relay->from_client.erase(0, end + 1))
                    count(relay->from_client.substr(0, end));
            }
            if (entries[at + 1].revents != 0)
                open = hand_on(relay->supervisor.get(), relay->client.get(), nullptr) && open;
            relay = open ? std::next(relay) : relays.erase(relay);
        }
        if (entries[1].revents != 0) {
            Relay relay{
                UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), stream_socket(), {}};
            const sockaddr_un address = address_of(supervisor_socket_);
            if (::connect(relay.supervisor.get(), reinterpret_cast<const sockaddr*>(&address),
                          sizeof address) == 0)
                relays.push_back(std::move(relay));
        }
    }
}

}  // namespace cancelable::e2e
