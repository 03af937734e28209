#include "engine/shim/channel.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cstdio>
#include <cstring>

#include "engine/shim/bytes.h"

namespace cancelable {
namespace {

// What a packet is. The number stays as it is for ever, so that every version knows every other's packets;
// which version wrote one stands behind the fields that 0.1.0 had.
enum class PacketKind : std::uint32_t { command = 0x6332'0001, report = 0x7232'0001 };

constexpr std::size_t kControlSpace = CMSG_SPACE(ShimDescriptors::kCount * sizeof(int));

// The longest description is that of the longest request, and a report is small beside it.
constexpr off_t kRecordLimit = 32 << 20;

template <class Numbers>
void put_list(ByteWriter& out, const Numbers& numbers) {
    out.put(numbers.size());
    for (const auto number : numbers)
        out.put(number);
}

template <class Number>
std::vector<Number> get_list(ByteReader& in) {
    std::vector<Number> numbers(in.get_count());
    for (Number& number : numbers)
        number = in.get<Number>();
    return numbers;
}

void put_blob(ByteWriter& out, const std::vector<std::byte>& blob) {
    out.put(std::string_view(reinterpret_cast<const char*>(blob.data()), blob.size()));
}

}  // namespace

std::string channel_name(OperationId id) {
    return std::to_string(id) + ".channel";
}

std::string idle_channel_name(pid_t shim) {
    return std::to_string(shim) + ".idle";
}

std::string exit_record_name(OperationId id) {
    return std::to_string(id) + ".exit";
}

std::string exit_record_draft_name(OperationId id) {
    return exit_record_name(id) + ".new";
}

std::vector<std::byte> encode(const ShimCommand& command) {
    ByteWriter out;
    out.put(PacketKind::command);
    out.put(command.kind);
    out.put(command.reason);
    out.put(std::string_view(command.message).substr(0, kMessageLimit));
    out.put(command.uid);
    out.put(command.pid);
    out.put(command.plan.size());
    for (const StopStep& step : command.plan) {
        out.put(step.signal);
        out.put(std::chrono::microseconds(step.wait));
    }
    out.put(command.signal);
    out.put(kChannelVersion);
    out.put(std::chrono::microseconds(command.limit));
    out.put(command.tree);
    out.put(command.number);
    out.put(command.stay);
    out.put(command.given);
    put_blob(out, command.description);
    return out.take();
}

Result<ShimCommand> decode_command(std::span<const std::byte> packet) {
    ByteReader in(packet);
    if (in.get<PacketKind>() != PacketKind::command)
        return failure(ErrorCode::protocol, "not a command for a shim");
    ShimCommand command;
    command.kind = in.get<ShimCommandKind>();
    command.reason = in.get<CancelationReason>();
    command.message = in.get_text();
    command.uid = in.get<uid_t>();
    command.pid = in.get<pid_t>();
    command.plan.resize(in.get_count());
    for (StopStep& step : command.plan) {
        step.signal = in.get<int>();
        step.wait = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    }
    command.signal = in.get<int>();
    command.version = in.get_version();
    command.limit = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    command.tree = in.get<bool>();
    command.number = in.get<std::uint64_t>();
    command.stay = in.get<bool>();
    command.given = in.get<std::uint64_t>();
    const auto description = std::as_bytes(std::span(in.get_text()));
    command.description.assign(description.begin(), description.end());
    if (in.is_damaged()) return failure(ErrorCode::protocol, "a command for a shim is cut short");
    return command;
}

std::vector<std::byte> encode(const ShimReport& report) {
    ByteWriter out;
    out.put(PacketKind::report);
    out.put(report.id);
    out.put(report.pid);
    out.put(report.started_at.time_since_epoch());
    out.put(report.started);
    out.put(report.failed_at_exec);
    out.put(report.failed_errno);
    out.put(std::string_view(report.failed_doing).substr(0, kMessageLimit));
    out.put(report.has_exited);
    out.put(report.wait_status);
    out.put(report.cancelation.has_value());
    const ReportedCancelation cancelation = report.cancelation.value_or(ReportedCancelation{});
    out.put(cancelation.reason);
    out.put(std::string_view(cancelation.message).substr(0, kMessageLimit));
    out.put(cancelation.uid);
    out.put(cancelation.pid);
    out.put(cancelation.signal);
    out.put(cancelation.requested_at.time_since_epoch());
    put_list(out, report.signals);
    out.put(report.processes);
    put_list(out, report.survivors);
    out.put(report.over);
    out.put(report.over_at.time_since_epoch());
    out.put(report.duration);
    out.put(report.user_time);
    out.put(report.system_time);
    out.put(report.max_rss_bytes);
    out.put(kChannelVersion);
    out.put(report.shim_pid);
    out.put(report.shim_start_time);
    out.put(report.disconnected);
    out.put(report.shields);
    out.put(std::chrono::microseconds(report.shield_limit));
    out.put(report.held_until.time_since_epoch());
    out.put(report.paused);
    put_list(out, report.unstoppable);
    out.put(report.pause_answered);
    out.put(report.can_stay);
    return out.take();
}

Result<ShimReport> decode_report(std::span<const std::byte> packet) {
    ByteReader in(packet);
    if (in.get<PacketKind>() != PacketKind::report)
        return failure(ErrorCode::damaged, "not the report of a shim");
    ShimReport report;
    report.id = in.get<OperationId>();
    report.pid = in.get<pid_t>();
    report.started_at = WallTime(in.get_duration());
    report.started = in.get<bool>();
    report.failed_at_exec = in.get<bool>();
    report.failed_errno = in.get<int>();
    report.failed_doing = in.get_text();
    report.has_exited = in.get<bool>();
    report.wait_status = in.get<int>();
    const bool cancelled = in.get<bool>();
    ReportedCancelation cancelation;
    cancelation.reason = in.get<CancelationReason>();
    cancelation.message = in.get_text();
    cancelation.uid = in.get<uid_t>();
    cancelation.pid = in.get<pid_t>();
    cancelation.signal = in.get<int>();
    cancelation.requested_at = WallTime(in.get_duration());
    if (cancelled) report.cancelation = std::move(cancelation);
    report.signals = get_list<int>(in);
    report.processes = in.get<std::uint64_t>();
    report.survivors = get_list<pid_t>(in);
    report.over = in.get<bool>();
    report.over_at = WallTime(in.get_duration());
    report.duration = in.get_duration();
    report.user_time = in.get_duration();
    report.system_time = in.get_duration();
    report.max_rss_bytes = in.get<std::uint64_t>();
    report.version = in.get_version();
    report.shim_pid = in.get<pid_t>();
    report.shim_start_time = in.get<std::uint64_t>();
    report.disconnected = in.get<bool>();
    report.shields = in.get<std::uint64_t>();
    report.shield_limit = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    report.held_until = WallTime(in.get_duration());
    report.paused = in.get<bool>();
    report.unstoppable = get_list<pid_t>(in);
    report.pause_answered = in.get<std::uint64_t>();
    report.can_stay = in.get<bool>();
    if (in.is_damaged() || report.id == 0)
        return failure(ErrorCode::damaged, "the report of a shim is cut short");
    return report;
}

Result<> send_packet(int socket, std::span<const std::byte> packet, std::span<const int> descriptors) {
    iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[kControlSpace] = {};
    if (!descriptors.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    if (retry_eintr([&] { return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT); }) < 0)
        return system_error("cannot write to the channel");
    return {};
}

Result<> send_assignment(int socket, const BorrowedAssignment& assignment) {
    ShimCommand command{.kind = ShimCommandKind::assign, .description = assignment.description};
    std::vector<int> given;
    for (std::size_t i = 0; i < assignment.descriptors.size(); ++i) {
        if (assignment.descriptors[i] < 0) continue;
        command.given |= std::uint64_t{1} << i;
        given.push_back(assignment.descriptors[i]);
    }
    return send_packet(socket, encode(command), given);
}

Result<Packet> receive_packet(int socket) {
    // On the stack and not cleared: only the pages that the kernel writes to are ever touched.
    std::byte buffer[kPacketLimit];
    iovec part{buffer, sizeof buffer};
    alignas(cmsghdr) char control[kControlSpace] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto receive = [&] {
        return retry_eintr([&] { return ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); });
    };
    ssize_t length = receive();
    // Said once, of a peer that has closed with something of ours unread. What it had sent before comes all
    // the same.
    if (length < 0 && errno == ECONNRESET) length = receive();
    if (length < 0) return system_error("cannot read from the channel");
    Packet packet;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
            packet.descriptors.emplace_back(descriptor);
        }
    }
    packet.bytes.assign(buffer, buffer + length);
    return packet;
}

Assignment take_assignment(ShimCommand command, Packet packet) {
    Assignment assignment;
    auto next = packet.descriptors.begin();
    for (std::size_t i = 0; i < assignment.descriptors.size(); ++i)
        if ((command.given >> i & 1) != 0 && next != packet.descriptors.end())
            assignment.descriptors[i] = std::move(*next++);
    assignment.description = std::move(command.description);
    return assignment;
}

Result<> write_exit_record(int directory, const OperationSpec& spec, const ShimReport& report,
                           std::string_view why_lost) {
    ByteWriter out;
    put_blob(out, encode(spec, LaunchSettings{}));
    put_blob(out, encode(report));
    out.put(why_lost);
    const std::string name = exit_record_name(spec.id);
    const std::string draft = exit_record_draft_name(spec.id);
    UniqueFd file(::openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return system_error("cannot create the exit record");
    auto written = write_all(file.get(), out.take());
    if (written && ::renameat(directory, draft.c_str(), directory, name.c_str()) != 0)
        written = system_error("cannot put the exit record in its place");
    if (!written) ::unlinkat(directory, draft.c_str(), 0);
    return written;
}

Result<std::vector<std::byte>> read_record(int directory, const std::string& name) {
    // A FIFO would hold up who opens it.
    const UniqueFd file(::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return system_error("cannot open \"" + name + "\"");
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return system_error("cannot look at \"" + name + "\"");
    if (!S_ISREG(status.st_mode) || status.st_size > kRecordLimit)
        return failure(ErrorCode::damaged, "\"" + name + "\" is no record");
    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t read = 0;
    while (read < bytes.size()) {
        const ssize_t got =
            retry_eintr([&] { return ::read(file.get(), bytes.data() + read, bytes.size() - read); });
        if (got < 0) return system_error("cannot read \"" + name + "\"");
        if (got == 0) break;
        read += static_cast<std::size_t>(got);
    }
    bytes.resize(read);
    return bytes;
}

Result<ExitRecord> read_exit_record(int directory, OperationId id) {
    const auto bytes = read_record(directory, exit_record_name(id));
    if (!bytes) return std::unexpected(bytes.error());
    ByteReader in(*bytes);
    const std::string_view spec_blob = in.get_text();
    const std::string_view report_blob = in.get_text();
    const std::string_view why_lost = in.get_text();
    auto spec = decode_spec(std::as_bytes(std::span(spec_blob)));
    if (!spec) return std::unexpected(spec.error());
    auto report = decode_report(std::as_bytes(std::span(report_blob)));
    if (!report) return std::unexpected(report.error());
    if (spec->spec.id != id || report->id != id || !report->over)
        return failure(ErrorCode::damaged, "an exit record is not that of operation " + std::to_string(id));
    return ExitRecord{std::move(spec->spec), std::move(*report), std::string(why_lost)};
}

}  // namespace cancelable
