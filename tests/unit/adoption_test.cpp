#include "engine/adoption.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <optional>

#include "tests/unit/folder.h"

namespace cancelable {
namespace {

TEST_CASE("a shim that has got the name of an operation, and not yet the operation, is not its shim") {
    const Folder folder;
    OperationSpec spec;
    spec.id = 42;
    spec.name = "next";
    spec.command = {"true"};
    REQUIRE(write_acceptance(folder.descriptor.get(), spec));
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const UniqueFd shim(pair[0]);
    ShimReport before;
    before.id = 41;
    before.over = true;
    REQUIRE(send_packet(shim.get(), encode(before)));

    Loop loop;
    std::vector<LeftOperation> left(1);
    left.front().id = 42;
    left.front().channel.reset(pair[1]);
    std::optional<Adoption> adoption;
    adoption.emplace(loop, folder.descriptor.get(), std::move(left), [&](OperationId id) {
        return ShimLink::Callbacks{.reported =
                                       [&adoption, id](const ShimReport& report, UniqueFd description) {
                                           adoption->reported(id, report, std::move(description));
                                       },
                                   .gone = [&adoption, id] { adoption->gone(id); }};
    });
    adoption->gather(std::chrono::seconds(60));
    const auto all = adoption->take();
    REQUIRE(all.size() == 1);
    CHECK_FALSE(all.front().link);
    CHECK_FALSE(all.front().report);
    REQUIRE(all.front().left.acceptance);
    CHECK_FALSE(all.front().left.acceptance->begun);
    // It is left to itself, and keeps the end of the operation before in a record.
    const auto packet = receive_packet(shim.get());
    REQUIRE(packet);
    CHECK(packet->bytes.empty());
}

}  // namespace
}  // namespace cancelable
