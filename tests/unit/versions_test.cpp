// What 0.1.0 wrote, byte for byte, and what a version to come may write. An upgrade meets both.
#include <doctest/doctest.h>

#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shim/bytes.h"
#include "engine/shim/channel.h"
#include "tests/unit/folder.h"

namespace cancelable {
namespace {

constexpr std::string_view kDescription =
    "63636c61626c653129000000000000000500000000000000747261696e0005000000000000002f646174610007000000"
    "00000000010000000000000060e316000000000090d00300000000000200000000000000020000000000000012000000"
    "000000002f73746174652f6c6f67732f34312e6c6f670001000000000000006b0040222018240a06003f000000000000"
    "000500000000000000010000000000000003000000000000000600000000000000707974686f6e000800000000000000"
    "747261696e2e707900030000000000000061206200020000000000000003000000000000006770750001000000000000"
    "003000040000000000000075736572000200000000000000343200010000000000000007000000000000000004000000"
    "000000001000000000000002000000000000000300000000000000413d31000200000000000000423d00";
constexpr std::string_view kReport =
    "01003272000000002900000000000000d20400000000000040822d18240a060001000000000000000000000000000000"
    "000000000000000000000000000000000001000000000000000900000000000000010000000000000005000000000000"
    "000400000000000000676f6e6500e8030000000000004d000000000000000f0000000000000005000000000000000200"
    "0000000000000f0000000000000009000000000000000c00000000000000010000000000000037000000000000000100"
    "00000000000080c43c18240a06006300000000000000030000000000000004000000000000000000100000000000";
constexpr std::string_view kCommand =
    "0100326300000000010000000000000000000000000000000600000000000000656e6f75676800030000000000000004"
    "0000000000000001000000000000000200000000000000204e0000000000000000000000000000";

std::vector<std::byte> bytes_of(std::string_view hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return bytes;
}

// What it will write is not known, but where it will: behind all that there is today.
std::vector<std::byte> as_of_tomorrow(std::vector<std::byte> bytes) {
    for (int i = 0; i < 100; ++i)
        bytes.push_back(static_cast<std::byte>(i * 37));
    return bytes;
}

void check_spec(const OperationSpec& spec) {
    CHECK(spec.id == 41);
    CHECK(spec.name == "train");
    CHECK(spec.command == std::vector<std::string>{"python", "train.py", "a b"});
    CHECK(spec.cwd == "/data");
    CHECK(spec.tags == Tags{{"gpu", "0"}, {"user", "42"}});
    CHECK(spec.parent == 7);
    CHECK(spec.detached);
    CHECK(spec.timeout == std::chrono::milliseconds(1500));
    CHECK(spec.grace == std::chrono::milliseconds(250));
    CHECK(spec.signal == SIGINT);
    CHECK(spec.orphans == Orphans::leave);
    CHECK(spec.log == "/state/logs/41.log");
    CHECK(spec.key == "k");
    CHECK(spec.created_at == WallTime(std::chrono::microseconds(1'700'000'000'123'456)));
}

void check_report(const ShimReport& report) {
    CHECK(report.id == 41);
    CHECK(report.pid == 1234);
    CHECK(report.started);
    CHECK(report.has_exited);
    CHECK(report.wait_status == 9);
    REQUIRE(report.cancelation);
    CHECK(report.cancelation->reason == CancelationReason::disconnect);
    CHECK(report.cancelation->message == "gone");
    CHECK(report.cancelation->uid == 1000);
    CHECK(report.cancelation->pid == 77);
    CHECK(report.cancelation->signal == SIGTERM);
    CHECK(report.cancelation->requested_at == WallTime(std::chrono::microseconds(5)));
    CHECK(report.signals == std::vector<int>{SIGTERM, SIGKILL});
    CHECK(report.processes == 12);
    CHECK(report.survivors == std::vector<pid_t>{55});
    CHECK(report.over);
    CHECK(report.over_at == WallTime(std::chrono::microseconds(1'700'000'002'000'000)));
    CHECK(report.duration == std::chrono::microseconds(99));
    CHECK(report.max_rss_bytes == 1 << 20);
}

TEST_CASE("the description, the report and the command of 0.1.0 are read in full") {
    const auto description = decode_spec(bytes_of(kDescription));
    REQUIRE(description);
    CHECK(description->version == kFirstVersion);
    check_spec(description->spec);
    CHECK(description->launch.environment == std::vector<std::string>{"A=1", "B="});
    CHECK(description->launch.umask == 077);

    const auto report = decode_report(bytes_of(kReport));
    REQUIRE(report);
    CHECK(report->version == kFirstVersion);
    check_report(*report);

    const auto command = decode_command(bytes_of(kCommand));
    REQUIRE(command);
    CHECK(command->version == kFirstVersion);
    CHECK(command->message == "enough");
    CHECK(command->plan == StopPlan{{SIGINT, std::chrono::milliseconds(20)}});
}

TEST_CASE("what 0.1.0 knows stands first in what is written today, byte for byte") {
    const auto starts_with = [](const std::vector<std::byte>& whole, const std::vector<std::byte>& start) {
        return whole.size() >= start.size() && std::equal(start.begin(), start.end(), whole.begin());
    };
    const auto description = decode_spec(bytes_of(kDescription));
    REQUIRE(description);
    CHECK(starts_with(encode(description->spec, description->launch), bytes_of(kDescription)));
    const auto report = decode_report(bytes_of(kReport));
    REQUIRE(report);
    CHECK(starts_with(encode(*report), bytes_of(kReport)));
    const auto command = decode_command(bytes_of(kCommand));
    REQUIRE(command);
    CHECK(starts_with(encode(*command), bytes_of(kCommand)));
}

TEST_CASE("fields of a version to come are passed over") {
    const auto description = decode_spec(bytes_of(kDescription));
    REQUIRE(description);
    const auto later = decode_spec(as_of_tomorrow(encode(description->spec, description->launch)));
    REQUIRE(later);
    CHECK(later->version == kChannelVersion);
    check_spec(later->spec);
    const auto report = decode_report(bytes_of(kReport));
    REQUIRE(report);
    const auto later_report = decode_report(as_of_tomorrow(encode(*report)));
    REQUIRE(later_report);
    check_report(*later_report);
    const auto command = decode_command(bytes_of(kCommand));
    REQUIRE(command);
    const auto later_command = decode_command(as_of_tomorrow(encode(*command)));
    REQUIRE(later_command);
    CHECK(later_command->message == "enough");
}

TEST_CASE("an exit record of 0.1.0 is read in full") {
    const Folder folder;
    ByteWriter record;
    for (const std::string_view part : {kDescription, kReport}) {
        const auto bytes = bytes_of(part);
        record.put(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    const auto whole = record.take();
    std::ofstream(folder.name + "/" + exit_record_name(41), std::ios::binary)
        .write(reinterpret_cast<const char*>(whole.data()), static_cast<std::streamsize>(whole.size()));
    const auto read = read_exit_record(folder.descriptor.get(), 41);
    REQUIRE(read);
    check_spec(read->spec);
    check_report(read->report);
}

}  // namespace
}  // namespace cancelable
