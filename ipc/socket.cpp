#include "ipc/socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "engine/process/pidfd.h"

namespace cancelable::ipc {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    if (path.empty()) return failure(ErrorCode::usage, "the path of the socket is empty");
    if (path.size() > kMaxSocketPath)
        return failure(ErrorCode::limit,
                       "the socket path \"" + path + "\" is " + std::to_string(path.size()) +
                           " bytes long, and the kernel allows " + std::to_string(kMaxSocketPath));
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<UniqueFd> make_socket(int flags) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!fd) return system_error("cannot make a socket");
    return fd;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Result<UniqueFd> listen_at(const std::string& path) {
    if (auto checked = address_of(path); !checked) return std::unexpected(checked.error());
    const std::size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    auto directory = open_file(folder.c_str(), O_PATH | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());

    // Bound by way of the directory's descriptor, the temporary name fits wherever the socket's own does.
    const std::string temporary = "socket." + std::to_string(::getpid());
    auto address = address_of("/proc/self/fd/" + std::to_string(directory->get()) + "/" + temporary);
    if (!address) return std::unexpected(address.error());
    auto fd = make_socket(SOCK_NONBLOCK);
    if (!fd) return fd;

    // What a dead process of the same number may have left.
    if (::unlinkat(directory->get(), temporary.c_str(), 0) != 0 && errno != ENOENT)
        return system_error("cannot remove \"" + folder + temporary + "\"");
    if (::bind(fd->get(), as_sockaddr(*address), sizeof *address) != 0)
        return system_error("cannot bind \"" + path + "\"");
    // Listening comes before the name: whoever finds the socket is served.
    if (::fchmodat(directory->get(), temporary.c_str(), 0600, 0) != 0 ||
        ::listen(fd->get(), SOMAXCONN) != 0 ||
        ::renameat(directory->get(), temporary.c_str(), directory->get(), name.c_str()) != 0) {
        auto error = system_error("cannot listen at \"" + path + "\"");
        ::unlinkat(directory->get(), temporary.c_str(), 0);
        return error;
    }
    return fd;
}

Result<UniqueFd> connect_to(const std::string& path) {
    auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    auto fd = make_socket(0);
    if (!fd) return fd;
    // A connection over a Unix socket is made at once or not at all, so calling again after EINTR is right
    // here.
    if (retry_eintr([&] { return ::connect(fd->get(), as_sockaddr(*address), sizeof *address); }) != 0)
        return std::unexpected(
            Error{ErrorCode::unreachable, "cannot reach a supervisor at \"" + path + "\"", errno});
    return fd;
}

Result<UniqueFd> accept_from(int listener) {
    UniqueFd fd(
        retry_eintr([&] { return ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); }));
    if (!fd) return system_error("cannot accept a connection");
    return fd;
}

Result<PeerCredentials> peer_credentials(int fd) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return system_error("cannot tell who is connected");
    return PeerCredentials{credentials.uid, credentials.pid};
}

Result<PeerProcess> peer_process(int fd) {
    const auto credentials = peer_credentials(fd);
    if (!credentials) return std::unexpected(credentials.error());
    PeerProcess peer{credentials->pid, UniqueFd()};
    if (peer.pid == 0) return peer;
    peer.pidfd = peer_pidfd(fd);
    if (peer.pidfd) return peer;
    const std::string doing = "cannot tell which process asks";
    if (errno != ENOPROTOOPT) return system_error(doing);
    peer.pidfd = open_pidfd(peer.pid);
    if (!peer.pidfd) return system_error(doing);
    pollfd connection{fd, 0, 0};
    if (::poll(&connection, 1, 0) != 0) return failure(ErrorCode::not_found, "the process that asks is gone");
    return peer;
}

Result<std::size_t> send_some(int fd, std::string_view bytes, std::span<const int> descriptors) {
    if (descriptors.size() > kMaxDescriptors)
        return failure(ErrorCode::limit,
                       "a message carries at most " + std::to_string(kMaxDescriptors) + " descriptors");
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    const ssize_t sent = retry_eintr([&] { return ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::size_t{0};
    return system_error("cannot send");
}

Result<Received> receive_some(int fd, std::span<char> buffer, std::vector<UniqueFd>& descriptors) {
    iovec space{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
    msghdr message{};
    message.msg_iov = &space;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = retry_eintr([&] { return ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
    if (got < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) return Received{0, true};
        return system_error("cannot receive");
    }

    // Owned before anything else is looked at: what came in must not leak, whatever is wrong with the rest.
    std::vector<UniqueFd> arrived;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int raw = -1;
            std::memcpy(&raw, CMSG_DATA(header) + i * sizeof(int), sizeof raw);
            arrived.emplace_back(raw);
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) != 0)
        return failure(ErrorCode::limit, "descriptors were lost: a message carries at most " +
                                             std::to_string(kMaxDescriptors) +
                                             ", and the receiver needs a free slot for each");
    for (UniqueFd& fd_arrived : arrived)
        descriptors.push_back(std::move(fd_arrived));
    return Received{static_cast<std::size_t>(got), false};
}

}  // namespace cancelable::ipc
