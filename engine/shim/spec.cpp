#include "engine/shim/spec.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/shim/bytes.h"

namespace cancelable {
namespace {

constexpr std::size_t kUsualSize = 8192;
constexpr std::size_t kMostBytes = 64 << 20;                 // far more than the kernel gives any program
constexpr std::uint64_t kMagic = 0x31'65'6c'62'61'6c'63'63;  // "ccable1"

WallTime wall_time(std::chrono::microseconds since_epoch) {
    return WallTime(since_epoch);
}

}  // namespace

std::vector<std::byte> encode(const OperationSpec& spec, const LaunchSettings& launch) {
    ByteWriter out;
    out.put(kMagic);
    out.put(spec.id);
    out.put(spec.name);
    out.put(spec.cwd);
    out.put(spec.parent);
    out.put(spec.detached);
    out.put(std::chrono::microseconds(spec.timeout));
    out.put(std::chrono::microseconds(spec.grace));
    out.put(spec.signal);
    out.put(spec.orphans);
    out.put(spec.log);
    out.put(spec.key);
    out.put(spec.created_at.time_since_epoch());
    out.put(launch.umask);
    out.put(launch.nice);
    out.put(launch.closed_stdio);
    out.put(spec.command.size());
    for (const std::string& word : spec.command)
        out.put(word);
    out.put(spec.tags.size());
    for (const auto& [key, value] : spec.tags) {
        out.put(key);
        out.put(value);
    }
    out.put(launch.limits.size());
    for (const ResourceLimit& limit : launch.limits) {
        out.put(limit.resource);
        out.put(limit.soft);
        out.put(limit.hard);
    }
    out.put(launch.environment.size());
    for (const std::string& variable : launch.environment)
        out.put(variable);
    out.put(kChannelVersion);
    out.put(spec.cancel_on.size());
    for (const std::string& source : spec.cancel_on)
        out.put(source);
    out.put(spec.deadline.time_since_epoch());
    out.put(spec.disconnect_is_member);
    out.put(spec.pause_timeouts);
    out.put(spec.hooks.on_start);
    out.put(spec.hooks.on_cancel);
    out.put(spec.hooks.on_end);
    out.put(std::chrono::microseconds(spec.hooks.time_limit));
    return out.take();
}

Result<DecodedSpec> decode_spec(std::span<const std::byte> blob) {
    ByteReader in(blob);
    if (in.get<std::uint64_t>() != kMagic)
        return failure(ErrorCode::damaged, "not the description of an operation");
    DecodedSpec decoded;
    OperationSpec& spec = decoded.spec;
    LaunchSettings& launch = decoded.launch;
    spec.id = in.get<OperationId>();
    spec.name = in.get_text();
    spec.cwd = in.get_text();
    spec.parent = in.get<OperationId>();
    spec.detached = in.get<bool>();
    spec.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    spec.grace = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    spec.signal = in.get<int>();
    spec.orphans = in.get<Orphans>();
    spec.log = in.get_text();
    spec.key = in.get_text();
    spec.created_at = wall_time(in.get_duration());
    launch.umask = in.get<mode_t>();
    launch.nice = in.get<int>();
    launch.closed_stdio = in.get<unsigned>();
    spec.command.resize(in.get_count());
    for (std::string& word : spec.command)
        word = in.get_text();
    spec.tags.resize(in.get_count());
    for (auto& [key, value] : spec.tags) {
        key = in.get_text();
        value = in.get_text();
    }
    launch.limits.resize(in.get_count());
    for (ResourceLimit& limit : launch.limits) {
        limit.resource = in.get<int>();
        limit.soft = in.get<rlim_t>();
        limit.hard = in.get<rlim_t>();
    }
    launch.environment.resize(in.get_count());
    for (std::string& variable : launch.environment)
        variable = in.get_text();
    decoded.version = in.get_version();
    spec.cancel_on.resize(in.get_count());
    for (std::string& source : spec.cancel_on)
        source = in.get_text();
    spec.deadline = wall_time(in.get_duration());
    spec.disconnect_is_member = in.get<bool>();
    spec.pause_timeouts = in.get<bool>();
    spec.hooks.on_start = in.get_text();
    spec.hooks.on_cancel = in.get_text();
    spec.hooks.on_end = in.get_text();
    const auto hook_limit = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    if (hook_limit.count() > 0) spec.hooks.time_limit = hook_limit;
    if (in.is_damaged() || spec.id == 0 || spec.command.empty())
        return failure(ErrorCode::damaged, "the description of an operation is cut short");
    return decoded;
}

Result<DecodedSpec> read_description(int memory) {
    // Most are small, and read by one call.
    std::vector<std::byte> bytes(kUsualSize);
    std::size_t size = 0;
    for (;;) {
        const ssize_t got = retry_eintr([&] {
            return ::pread(memory, bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
        });
        if (got < 0) return system_error("cannot read the description of an operation");
        size += static_cast<std::size_t>(got);
        if (size < bytes.size()) break;
        if (size > kMostBytes) return failure(ErrorCode::damaged, "no operation has so long a description");
        bytes.resize(2 * size);
    }
    return decode_spec(std::span(bytes).first(size));
}

Result<UniqueFd> make_description(std::span<const std::byte> blob) {
    UniqueFd memory(::memfd_create("operation", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return system_error("cannot get memory for the description of an operation");
    if (auto written = write_all(memory.get(), blob); !written) return std::unexpected(written.error());
    // A shim reads it, and a supervisor that adopts it: neither may find it changed under its hands.
    if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        return system_error("cannot seal the description of an operation");
    return memory;
}

}  // namespace cancelable
