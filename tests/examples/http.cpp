#include "tests/examples/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "engine/process/fd.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {

HttpAnswer http(int port, const std::string& what) {
    const UniqueFd connection(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error("nobody listens at port " + std::to_string(port));
    const std::string request =
        what + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (::send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
        throw std::runtime_error("the request cannot be sent");

    const Deadline deadline;
    std::string text;
    for (;;) {
        if (!wait_readable(connection.get(), deadline)) throw Impatient("no answer to " + what);
        char buffer[4096];
        const ssize_t got = ::read(connection.get(), buffer, sizeof buffer);
        if (got <= 0) break;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    const std::size_t body = text.find("\r\n\r\n");
    if (!text.starts_with("HTTP/1.1 ") || body == std::string::npos)
        throw std::runtime_error("that is no HTTP: " + text);
    return {std::stoi(text.substr(9)), text.substr(body + 4)};
}

}  // namespace cancelable::e2e
