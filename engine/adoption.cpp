#include "engine/adoption.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <set>
#include <string_view>

#include "engine/launcher.h"

namespace cancelable {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

Result<std::set<OperationId>> ids_in(int directory) {
    UniqueFd copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) return system_error("cannot open the directory of operations");
    const std::unique_ptr<DIR, CloseDirectory> entries(::fdopendir(copy.get()));
    if (!entries) return system_error("cannot read the directory of operations");
    static_cast<void>(copy.release());
    std::set<OperationId> ids;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        OperationId id = 0;
        const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), id);
        const std::string_view suffix(rest, name.data() + name.size());
        if (error == std::errc{} && id != 0 && (suffix == ".channel" || suffix == ".exit")) ids.insert(id);
    }
    return ids;
}

}  // namespace

Result<std::vector<LeftOperation>> find_left_operations(int directory) {
    const auto ids = ids_in(directory);
    if (!ids) return std::unexpected(ids.error());
    std::vector<LeftOperation> found;
    for (const OperationId id : *ids) {
        // The channel first: a shim that ends between the two looks has left its record before it closed the
        // channel.
        auto channel = connect_to_shim(directory, id);
        if (channel) {
            found.push_back({id, std::move(*channel), failure(ErrorCode::not_found, "not ended")});
            continue;
        }
        auto record = read_exit_record(directory, id);
        ::unlinkat(directory, channel_name(id).c_str(), 0);
        found.push_back({id, UniqueFd(), std::move(record)});
    }
    return found;
}

void forget_exit_record(int directory, OperationId id) noexcept {
    ::unlinkat(directory, exit_record_name(id).c_str(), 0);
}

}  // namespace cancelable
