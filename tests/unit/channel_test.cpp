#include "engine/shim/channel.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "engine/shim/acceptance.h"
#include "tests/unit/folder.h"

namespace cancelable {
namespace {

OperationSpec some_spec() {
    OperationSpec spec;
    spec.id = 41;
    spec.name = "train \xff";
    spec.command = {"python", "train.py", "", "a b"};
    spec.cwd = "/data";
    spec.tags = {{"gpu", "0"}, {"user", "42"}};
    spec.parent = 7;
    spec.detached = true;
    spec.timeout = std::chrono::milliseconds(1500);
    spec.grace = std::chrono::milliseconds(250);
    spec.signal = SIGINT;
    spec.orphans = Orphans::leave;
    spec.log = "/state/logs/41.log";
    spec.key = "k";
    spec.cancel_on = {"idle:60s", "all(file:a, parent)"};
    spec.deadline = WallTime(std::chrono::microseconds(1'800'000'000'000'001));
    spec.disconnect_is_member = true;
    spec.hooks = {"a", "b", "c\n", std::chrono::milliseconds(70)};
    spec.created_at = WallTime(std::chrono::microseconds(1'700'000'000'123'456));
    return spec;
}

ShimReport some_report() {
    ShimReport report;
    report.id = 41;
    report.pid = 1234;
    report.started = true;
    report.has_exited = true;
    report.wait_status = 9;
    report.cancelation = ReportedCancelation{.reason = CancelationReason::disconnect,
                                             .message = "gone",
                                             .uid = 1000,
                                             .pid = 77,
                                             .signal = SIGTERM,
                                             .requested_at = WallTime(std::chrono::microseconds(5))};
    report.signals = {SIGTERM, SIGKILL};
    report.processes = 12;
    report.survivors = {55, 66};
    report.over = true;
    report.duration = std::chrono::microseconds(99);
    report.max_rss_bytes = 1 << 30;
    report.disconnected = true;
    return report;
}

TEST_CASE("an operation's description survives encoding, whatever bytes it has") {
    const OperationSpec spec = some_spec();
    LaunchSettings launch;
    launch.environment = {"A=1", "B=", "C=\x80\x81"};
    launch.umask = 077;
    launch.nice = 5;
    launch.closed_stdio = 5;
    launch.limits = {{7, 1024, RLIM_INFINITY}};
    const auto decoded = decode_spec(encode(spec, launch));
    REQUIRE(decoded);
    CHECK(decoded->spec.id == spec.id);
    CHECK(decoded->spec.name == spec.name);
    CHECK(decoded->spec.command == spec.command);
    CHECK(decoded->spec.cwd == spec.cwd);
    CHECK(decoded->spec.tags == spec.tags);
    CHECK(decoded->spec.parent == spec.parent);
    CHECK(decoded->spec.detached == spec.detached);
    CHECK(decoded->spec.timeout == spec.timeout);
    CHECK(decoded->spec.grace == spec.grace);
    CHECK(decoded->spec.signal == spec.signal);
    CHECK(decoded->spec.orphans == spec.orphans);
    CHECK(decoded->spec.log == spec.log);
    CHECK(decoded->spec.key == spec.key);
    CHECK(decoded->spec.created_at == spec.created_at);
    CHECK(decoded->spec.cancel_on == spec.cancel_on);
    CHECK(decoded->spec.deadline == spec.deadline);
    CHECK(decoded->spec.disconnect_is_member);
    CHECK(decoded->spec.hooks.on_start == spec.hooks.on_start);
    CHECK(decoded->spec.hooks.on_cancel == spec.hooks.on_cancel);
    CHECK(decoded->spec.hooks.on_end == spec.hooks.on_end);
    CHECK(decoded->spec.hooks.time_limit == spec.hooks.time_limit);
    CHECK(decoded->launch.environment == launch.environment);
    CHECK(decoded->launch.umask == launch.umask);
    CHECK(decoded->launch.nice == launch.nice);
    CHECK(decoded->launch.closed_stdio == launch.closed_stdio);
    REQUIRE(decoded->launch.limits.size() == 1);
    CHECK(decoded->launch.limits[0].soft == 1024);
    CHECK(decoded->launch.limits[0].hard == RLIM_INFINITY);
}

TEST_CASE("a description cut short or full of nonsense is read without harm") {
    LaunchSettings launch;
    launch.environment = {"A=1"};
    const auto whole = encode(some_spec(), launch);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        // What a reader does not find is zero, as it is where an older version wrote less; the containers (a
        // sealed memfd, a packet, an exit record) see to it that nothing is cut in fact.
        const auto decoded = decode_spec(std::span(whole).first(length));
        if (decoded) CHECK(decoded->spec.id == some_spec().id);
    }
    auto mad = whole;
    for (std::size_t i = 8; i < mad.size(); i += 8)
        mad[i] = std::byte{0xff};
    static_cast<void>(decode_spec(mad));  // Sizes of nonsense ask for no memory.
    CHECK_FALSE(decode_spec({}));
}

TEST_CASE("a report survives encoding, with and without a cancelation") {
    const auto decoded = decode_report(encode(some_report()));
    REQUIRE(decoded);
    CHECK(decoded->wait_status == 9);
    REQUIRE(decoded->cancelation);
    CHECK(decoded->cancelation->reason == CancelationReason::disconnect);
    CHECK(decoded->cancelation->message == "gone");
    CHECK(decoded->cancelation->pid == 77);
    CHECK(decoded->signals == std::vector<int>{SIGTERM, SIGKILL});
    CHECK(decoded->survivors == std::vector<pid_t>{55, 66});
    CHECK(decoded->over);
    CHECK(decoded->max_rss_bytes == 1 << 30);
    CHECK(decoded->disconnected);

    ShimReport plain;
    plain.id = 1;
    const auto second = decode_report(encode(plain));
    REQUIRE(second);
    CHECK_FALSE(second->cancelation);
}

TEST_CASE("a command for a shim survives encoding and is not taken for a report") {
    const ShimCommand command{.kind = ShimCommandKind::cancel,
                              .reason = CancelationReason::timeout,
                              .message = std::string(2 * kMessageLimit, 'm'),
                              .uid = 3,
                              .pid = 4,
                              .plan = {{SIGINT, std::chrono::milliseconds(20)}}};
    const auto packet = encode(command);
    const auto decoded = decode_command(packet);
    REQUIRE(decoded);
    CHECK(decoded->reason == CancelationReason::timeout);
    CHECK(decoded->message.size() == kMessageLimit);
    CHECK(decoded->plan == command.plan);
    CHECK_FALSE(decode_report(packet));
}

TEST_CASE("what a peer has sent is read although it closed with something unread") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    UniqueFd left(pair[0]);
    const UniqueFd right(pair[1]);
    const auto command = encode(ShimCommand{.kind = ShimCommandKind::release});
    REQUIRE(send_packet(left.get(), command));
    REQUIRE(send_packet(right.get(), encode(some_report())));
    left.reset();
    const auto first = receive_packet(right.get());
    REQUIRE(first);
    CHECK(first->bytes == command);
    const auto end = receive_packet(right.get());
    REQUIRE(end);
    CHECK(end->bytes.empty());
}

TEST_CASE("packets keep their bounds and carry descriptors") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    UniqueFd left(pair[0]);
    const UniqueFd right(pair[1]);
    const auto one = encode(some_report());
    const int passed[] = {right.get(), left.get()};
    REQUIRE(send_packet(left.get(), one, passed));
    REQUIRE(send_packet(left.get(), std::span(one).first(3)));
    auto first = receive_packet(right.get());
    REQUIRE(first);
    CHECK(first->bytes == one);
    REQUIRE(first->descriptors.size() == 2);
    for (const UniqueFd& descriptor : first->descriptors)
        CHECK((::fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0);
    auto second = receive_packet(right.get());
    REQUIRE(second);
    CHECK(second->bytes.size() == 3);
    CHECK(second->descriptors.empty());
    CHECK(receive_packet(right.get()).error().os_errno == EAGAIN);
    first->descriptors.clear();
    left.reset();
    const auto end = receive_packet(right.get());
    REQUIRE(end);
    CHECK(end->bytes.empty());
}

TEST_CASE("an assignment arrives whole, with all that it may bring") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    const UniqueFd left(pair[0]);
    const UniqueFd right(pair[1]);
    BorrowedAssignment sent;
    std::array<UniqueFd, ShimDescriptors::kCount> files;
    for (std::size_t i = 0; i < files.size(); ++i) {
        files[i].reset(::memfd_create("file", MFD_CLOEXEC));
        sent.descriptors[i] = files[i].get();
    }
    sent.description.assign(kDescriptionLimit, std::byte{7});
    REQUIRE(send_assignment(left.get(), sent));
    auto packet = receive_packet(right.get());
    REQUIRE(packet);
    auto command = decode_command(packet->bytes);
    REQUIRE(command);
    CHECK(command->kind == ShimCommandKind::assign);
    const Assignment got = take_assignment(std::move(*command), std::move(*packet));
    CHECK(got.description == sent.description);
    const auto file_of = [](const UniqueFd& descriptor) {
        struct stat status{};
        REQUIRE(::fstat(descriptor.get(), &status) == 0);
        return status.st_ino;
    };
    for (std::size_t i = 0; i < files.size(); ++i)
        CHECK(file_of(got.descriptors[i]) == file_of(files[i]));
}

TEST_CASE("an exit record gives back what was written, and a damaged one an error") {
    const Folder folder;
    REQUIRE(write_exit_record(folder.descriptor.get(), some_spec(), some_report()));
    const auto record = read_exit_record(folder.descriptor.get(), 41);
    REQUIRE(record);
    CHECK(record->spec.name == some_spec().name);
    CHECK(record->report.wait_status == 9);
    CHECK(read_exit_record(folder.descriptor.get(), 42).error().os_errno == ENOENT);

    const std::string path = folder.name + "/" + exit_record_name(41);
    const auto size = std::filesystem::file_size(path);
    for (std::uintmax_t length = 0; length < size; length += 7) {
        std::filesystem::resize_file(path, length);
        static_cast<void>(read_exit_record(folder.descriptor.get(), 41));
        std::filesystem::resize_file(path, size);
    }
    std::filesystem::resize_file(path, size / 4);
    CHECK(read_exit_record(folder.descriptor.get(), 41).error().code == ErrorCode::damaged);
}

TEST_CASE("what was accepted is known by its name, and whether it was begun") {
    const Folder folder;
    const int directory = folder.descriptor.get();
    CHECK(read_acceptance(directory, 41).error().os_errno == ENOENT);
    REQUIRE(write_acceptance(directory, some_spec()));
    auto accepted = read_acceptance(directory, 41);
    REQUIRE(accepted);
    CHECK_FALSE(accepted->begun);
    CHECK(accepted->spec.name == some_spec().name);
    note_beginning(directory, 41);
    auto begun = read_acceptance(directory, 41);
    REQUIRE(begun);
    CHECK(begun->begun);
    CHECK(begun->spec.key == some_spec().key);
    CHECK_FALSE(begun->lost);
    note_loss(directory, 41);
    const auto lost = read_acceptance(directory, 41);
    REQUIRE(lost);
    CHECK(lost->lost);
    CHECK(lost->begun);
    std::filesystem::rename(folder.name + "/41.lost", folder.name + "/41.begun");
    std::filesystem::rename(folder.name + "/41.begun", folder.name + "/42.begun");
    CHECK(read_acceptance(directory, 42).error().code == ErrorCode::damaged);
    remove_traces(directory, 42);
    CHECK(std::filesystem::is_empty(folder.name));
}

TEST_CASE("what is no exit record is told as damaged and can be set aside, whatever it is") {
    const Folder folder;
    const int directory = folder.descriptor.get();
    std::filesystem::create_directory(folder.name + "/1.exit");
    REQUIRE(::mkfifoat(directory, "2.exit", 0600) == 0);
    REQUIRE(write_exit_record(directory, some_spec(), some_report()));
    std::filesystem::rename(folder.name + "/41.exit", folder.name + "/3.exit");
    for (const OperationId id : {1U, 2U, 3U}) {
        CHECK(read_exit_record(directory, id).error().code == ErrorCode::damaged);
        remove_traces(directory, id);
        CHECK(read_exit_record(directory, id).error().os_errno == ENOENT);
    }
    CHECK(std::filesystem::is_directory(folder.name + "/1.damaged"));
}

}  // namespace
}  // namespace cancelable
