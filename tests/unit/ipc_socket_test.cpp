#include "ipc/socket.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cstring>

#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;

namespace {

// Sends more descriptors in one message than send_some would.
void send_many(int socket, std::size_t count) {
    const UniqueFd file = anonymous_file();
    const std::vector<int> raw(count, file.get());
    std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
    char byte = 'x';
    iovec data{&byte, 1};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), raw.data(), count * sizeof(int));
    REQUIRE(::sendmsg(socket, &message, MSG_NOSIGNAL) == 1);
}

}  // namespace

TEST_CASE("a socket may have a path of 107 bytes, and no longer one") {
    const TemporaryDirectory directory;
    const std::string base = directory.file("");
    const std::string longest = base + std::string(kMaxSocketPath - base.size(), 's');
    const auto listener = listen_at(longest);
    REQUIRE(listener);
    CHECK(connect_to(longest));
    const std::string longer = longest + "s";
    for (const auto& result : {listen_at(longer), connect_to(longer)}) {
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::limit);
        CHECK(result.error().sentence() ==
              "the socket path \"" + longer + "\" is 108 bytes long, and the kernel allows 107");
    }
}

TEST_CASE("a new listener takes the place of a stale socket in one step") {
    const TemporaryDirectory directory;
    const std::string path = directory.file("socket");
    REQUIRE(listen_at(path));
    const auto stale = connect_to(path);
    REQUIRE_FALSE(stale);
    CHECK(stale.error().code == ErrorCode::unreachable);
    CHECK(stale.error().os_errno == ECONNREFUSED);
    const auto listener = listen_at(path);
    REQUIRE(listener);
    CHECK(connect_to(path));
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    // Nothing but the socket is left in the folder.
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory.file("")))
        ++files;
    CHECK(files == 1);
}

TEST_CASE("where nothing listens, connecting says so with its errno") {
    const TemporaryDirectory directory;
    const auto nothing = connect_to(directory.file("socket"));
    REQUIRE_FALSE(nothing);
    CHECK(nothing.error().code == ErrorCode::unreachable);
    CHECK(nothing.error().os_errno == ENOENT);
}

TEST_CASE("the peer's credentials are those of its process") {
    const auto [ours, theirs] = socket_pair();
    const auto peer = peer_credentials(ours.get());
    REQUIRE(peer);
    CHECK(peer->uid == ::geteuid());
    CHECK(peer->pid == ::getpid());
}

TEST_CASE("descriptors arrive with close-on-exec set") {
    const auto [ours, theirs] = socket_pair();
    const UniqueFd file = anonymous_file();
    REQUIRE(send_some(theirs.get(), "x", std::array{file.get()}));
    std::array<char, 8> buffer{};
    std::vector<UniqueFd> descriptors;
    REQUIRE(receive_some(ours.get(), buffer, descriptors));
    REQUIRE(descriptors.size() == 1);
    CHECK((::fcntl(descriptors[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(inode_of(descriptors[0].get()) == inode_of(file.get()));
}

TEST_CASE("more descriptors than are taken end in an error and not in a leak") {
    const auto [ours, theirs] = socket_pair();
    const std::size_t before = open_descriptors();
    send_many(theirs.get(), kMaxDescriptors + 1);
    std::array<char, 8> buffer{};
    std::vector<UniqueFd> descriptors;
    const auto received = receive_some(ours.get(), buffer, descriptors);
    REQUIRE_FALSE(received);
    CHECK(received.error().code == ErrorCode::limit);
    CHECK(descriptors.empty());
    CHECK(open_descriptors() == before);
}

TEST_CASE("descriptors for which there is no free slot end in an error and not in a leak") {
    const auto [ours, theirs] = socket_pair();
    send_many(theirs.get(), 4);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    // A duplicate takes the lowest free number: what lies above it and one more is beyond the limit now.
    const UniqueFd lowest(::dup(ours.get()));
    const rlimit low{static_cast<rlim_t>(lowest.get()) + 2, limit.rlim_max};
    const std::size_t before = open_descriptors();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    std::array<char, 8> buffer{};
    std::vector<UniqueFd> descriptors;
    const auto received = receive_some(ours.get(), buffer, descriptors);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE_FALSE(received);
    CHECK(received.error().code == ErrorCode::limit);
    CHECK(descriptors.empty());
    CHECK(open_descriptors() == before);
}

TEST_CASE("sending to a peer that has gone is an error and no signal") {
    auto [ours, theirs] = socket_pair();
    theirs.reset();
    const auto sent = send_some(ours.get(), "x", {});
    REQUIRE_FALSE(sent);
    CHECK(sent.error().os_errno == EPIPE);
}
