#include "engine/shim/acceptance.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "engine/process/fd.h"
#include "engine/shim/channel.h"

namespace cancelable {
namespace {

void remove_all_but_loss(int directory, OperationId id) noexcept {
    const std::string record = exit_record_name(id);
    if (::unlinkat(directory, record.c_str(), 0) != 0 && errno != ENOENT)
        ::renameat(directory, record.c_str(), directory, (std::to_string(id) + ".damaged").c_str());
    for (const std::string& name :
         {exit_record_draft_name(id), acceptance_name(id), beginning_name(id), channel_name(id)})
        ::unlinkat(directory, name.c_str(), 0);
}

}  // namespace

std::string acceptance_name(OperationId id) {
    return std::to_string(id) + ".accepted";
}

std::string beginning_name(OperationId id) {
    return std::to_string(id) + ".begun";
}

std::string loss_name(OperationId id) {
    return std::to_string(id) + ".lost";
}

Result<> write_acceptance(int directory, const OperationSpec& spec) {
    const std::string name = acceptance_name(spec.id);
    const UniqueFd file(
        ::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return system_error("cannot note down the acceptance of operation " + std::to_string(spec.id));
    auto written = write_all(file.get(), encode(spec, LaunchSettings{}));
    // Half of it tells less than none.
    if (!written) ::unlinkat(directory, name.c_str(), 0);
    return written;
}

Result<> write_acceptance_over(int directory, OperationId over, const OperationSpec& spec) {
    const std::string before = beginning_name(over);
    const auto bytes = encode(spec, LaunchSettings{});
    const auto rewrite = [&]() -> Result<> {
        const UniqueFd file(
            ::openat(directory, before.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat found{};
        if (!file || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode))
            return system_error("cannot use \"" + before + "\"");
        if (auto written = write_all(file.get(), bytes); !written) return written;
        const auto size = static_cast<off_t>(bytes.size());
        if (found.st_size > size && ::ftruncate(file.get(), size) != 0)
            return system_error("cannot shorten \"" + before + "\"");
        if (::renameat(directory, before.c_str(), directory, acceptance_name(spec.id).c_str()) != 0)
            return system_error("cannot rename \"" + before + "\"");
        return {};
    };
    auto written = rewrite();
    if (!written) remove_beginning(directory, over);
    return written;
}

void note_beginning(int directory, OperationId id) noexcept {
    char accepted[40];
    char begun[40];
    std::snprintf(accepted, sizeof accepted, "%llu.accepted", static_cast<unsigned long long>(id));
    std::snprintf(begun, sizeof begun, "%llu.begun", static_cast<unsigned long long>(id));
    ::renameat(directory, accepted, directory, begun);
}

void note_loss(int directory, OperationId id) noexcept {
    ::renameat(directory, beginning_name(id).c_str(), directory, loss_name(id).c_str());
    remove_all_but_loss(directory, id);
}

Result<Acceptance> read_acceptance(int directory, OperationId id) {
    for (const std::string& name : {loss_name(id), beginning_name(id), acceptance_name(id)}) {
        auto bytes = read_record(directory, name);
        if (!bytes && bytes.error().os_errno == ENOENT) continue;
        if (!bytes) return std::unexpected(bytes.error());
        auto decoded = decode_spec(*bytes);
        if (decoded && decoded->spec.id != id)
            decoded = failure(ErrorCode::damaged, "\"" + name + "\" describes another operation");
        if (!decoded) return std::unexpected(decoded.error());
        const bool lost = name.ends_with(".lost");
        return Acceptance{std::move(decoded->spec), lost || name.ends_with(".begun"), lost};
    }
    return system_error("cannot find the acceptance of operation " + std::to_string(id), ENOENT);
}

void remove_beginning(int directory, OperationId id) noexcept {
    ::unlinkat(directory, beginning_name(id).c_str(), 0);
}

void remove_presence(int directory, OperationId id) noexcept {
    remove_beginning(directory, id);
    ::unlinkat(directory, channel_name(id).c_str(), 0);
}

void remove_traces(int directory, OperationId id) noexcept {
    remove_all_but_loss(directory, id);
    ::unlinkat(directory, loss_name(id).c_str(), 0);
}

}  // namespace cancelable
