#include "engine/hook_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>

#include "engine/process/fd.h"
#include "engine/shim/bytes.h"

namespace cancelable {
namespace {

constexpr std::uint64_t kMagic = 0x31'6b'6f'6f'68'63'63;  // "cchook1"
constexpr std::string_view kSuffix = ".end-hook";
constexpr std::string_view kDraftSuffix = ".end-hook.new";

// More than a command line and the facts can be.
constexpr off_t kLargestFile = off_t{8} << 20;

std::string file_name(OperationId id) {
    return std::to_string(id) + std::string(kSuffix);
}

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

Result<std::vector<std::byte>> read_whole(int directory, const std::string& name) {
    const UniqueFd file(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) != 0) return system_error("cannot read \"" + name + "\"");
    if (!S_ISREG(status.st_mode) || status.st_size > kLargestFile)
        return failure(ErrorCode::damaged, "\"" + name + "\" is none");
    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t length = 0;
    while (length < bytes.size()) {
        const ssize_t got =
            retry_eintr([&] { return ::read(file.get(), bytes.data() + length, bytes.size() - length); });
        if (got < 0) return system_error("cannot read \"" + name + "\"");
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
    }
    bytes.resize(length);
    return bytes;
}

}  // namespace

std::vector<std::byte> encode(const HookCall& call) {
    ByteWriter out;
    out.put(kMagic);
    out.put(call.id);
    out.put(call.event);
    out.put(call.command);
    out.put(std::chrono::microseconds(call.time_limit));
    out.put(call.facts.size());
    for (const std::string& fact : call.facts)
        out.put(fact);
    return out.take();
}

Result<HookCall> decode_hook_call(std::span<const std::byte> bytes) {
    ByteReader in(bytes);
    const bool is_one = in.get<std::uint64_t>() == kMagic;
    HookCall call;
    call.id = in.get<OperationId>();
    call.event = in.get<HookEvent>();
    call.command = in.get_text();
    call.time_limit = std::chrono::duration_cast<std::chrono::milliseconds>(in.get_duration());
    call.facts.resize(in.get_count());
    for (std::string& fact : call.facts)
        fact = in.get_text();
    if (!is_one || in.is_damaged() || call.id == 0 || call.command.empty() || call.time_limit.count() <= 0)
        return failure(ErrorCode::damaged, "a hook that is owed is damaged");
    return call;
}

Result<> write_owed_hook(int directory, const HookCall& call) {
    const std::string name = file_name(call.id);
    const std::string draft = std::to_string(call.id) + std::string(kDraftSuffix);
    const std::string doing = "cannot note the end hook of operation " + std::to_string(call.id);
    UniqueFd file(::openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return system_error(doing);
    const auto written = write_all(file.get(), encode(call));
    if (written && ::renameat(directory, draft.c_str(), directory, name.c_str()) == 0) return {};
    const int os_errno = written ? errno : written.error().os_errno;
    ::unlinkat(directory, draft.c_str(), 0);
    return system_error(doing, os_errno);
}

std::vector<HookCall> find_owed_hooks(int directory, const std::function<void(const std::string&)>& warn) {
    std::vector<HookCall> found;
    UniqueFd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::unique_ptr<DIR, CloseDirectory> entries(copy ? ::fdopendir(copy.get()) : nullptr);
    if (!entries) {
        if (warn) warn(system_error("cannot look for hooks that are owed").error().sentence());
        return found;
    }
    static_cast<void>(copy.release());
    std::vector<std::string> damaged;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string name = entry->d_name;
        OperationId id = 0;
        const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), id);
        const std::string_view suffix(rest, name.data() + name.size());
        if (error != std::errc{} || id == 0) continue;
        // The draft of one that died over it: that operation's end will be seen again.
        if (suffix == kDraftSuffix) damaged.push_back(name);
        if (suffix != kSuffix) continue;
        const auto bytes = read_whole(directory, name);
        auto call = bytes ? decode_hook_call(*bytes) : std::unexpected(bytes.error());
        if (call && call->id == id) {
            found.push_back(std::move(*call));
            continue;
        }
        if (warn) warn("\"" + name + "\" is no end hook that could be run");
        damaged.push_back(name);
    }
    for (const std::string& name : damaged)
        ::unlinkat(directory, name.c_str(), 0);
    std::ranges::sort(found, {}, &HookCall::id);
    return found;
}

void forget_owed_hook(int directory, OperationId id) noexcept {
    ::unlinkat(directory, file_name(id).c_str(), 0);
}

}  // namespace cancelable
