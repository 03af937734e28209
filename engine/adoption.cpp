#include "engine/adoption.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <set>
#include <string_view>

#include "engine/ids.h"
#include "engine/launcher.h"

namespace cancelable {
namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// What was begun and has no channel has ended, and means nothing (engine/shim/acceptance.h).
constexpr std::array<std::string_view, 5> kTraces{".channel", ".exit", ".accepted", ".begun", ".lost"};
constexpr std::string_view kIdle = ".idle";

// Of all that is left of operations. Removes the names of idle shims.
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
        // Of an idle shim, which has ended with its supervisor.
        if (error == std::errc{} && suffix == kIdle) ::unlinkat(directory, entry->d_name, 0);
        if (error == std::errc{} && id != 0 && id <= kLastId &&
            std::ranges::find(kTraces, suffix) != kTraces.end())
            ids.insert(id);
    }
    return ids;
}

}  // namespace

Result<std::vector<LeftOperation>> find_left_operations(int directory) {
    const auto ids = ids_in(directory);
    if (!ids) return std::unexpected(ids.error());
    std::vector<LeftOperation> found;
    for (const OperationId id : *ids) {
        LeftOperation left;
        left.id = id;
        left.exit_record = failure(ErrorCode::not_found, "it has not ended");
        // The channel first: a shim that ends between the two looks has left its record before it closed the
        // channel.
        auto channel = connect_to_shim(directory, id);
        const bool had_channel = channel || channel.error().os_errno != ENOENT;
        if (channel) {
            left.channel = std::move(*channel);
        } else {
            left.exit_record = read_exit_record(directory, id);
        }
        if (auto acceptance = read_acceptance(directory, id)) left.acceptance = std::move(*acceptance);
        const bool has_record = left.exit_record || left.exit_record.error().os_errno != ENOENT;
        if (!had_channel && !has_record &&
            !(left.acceptance && (!left.acceptance->begun || left.acceptance->lost))) {
            remove_traces(directory, id);
            continue;
        }
        found.push_back(std::move(left));
    }
    return found;
}

Adoption::Adoption(Loop& loop, int directory, std::vector<LeftOperation> left,
                   const CallbacksFor& callbacks_for)
    : loop_(loop), directory_(directory) {
    for (LeftOperation& operation : left) {
        const OperationId id = operation.id;
        Adopted& adopted = adopted_[id];
        if (operation.channel) {
            adopted.link = std::make_unique<ShimLink>(loop_, std::move(operation.channel), callbacks_for(id));
            ++silent_;
        }
        adopted.left = std::move(operation);
    }
}

void Adoption::gather(std::chrono::milliseconds patience) {
    bool out_of_patience = false;
    Timer timer(loop_, [&] { out_of_patience = true; });
    timer.start(patience);
    while (silent_ > 0 && !out_of_patience)
        loop_.run_once(true);
}

void Adoption::reported(OperationId id, const ShimReport& report, UniqueFd description) {
    if (report.id != id) return gone(id);
    Adopted& adopted = adopted_[id];
    if (!adopted.report) --silent_;
    adopted.report = report;
    if (description) adopted.description = std::move(description);
}

void Adoption::gone(OperationId id) {
    Adopted& adopted = adopted_[id];
    if (!adopted.report) --silent_;
    adopted.report.reset();
    adopted.link.reset();
    adopted.left.exit_record = read_exit_record(directory_, id);
    // It may have begun since the first look.
    adopted.left.acceptance.reset();
    if (auto acceptance = read_acceptance(directory_, id)) adopted.left.acceptance = std::move(*acceptance);
}

std::vector<Adoption::Adopted> Adoption::take() {
    std::vector<Adopted> all;
    all.reserve(adopted_.size());
    for (auto& [id, adopted] : adopted_)
        all.push_back(std::move(adopted));
    adopted_.clear();
    return all;
}

}  // namespace cancelable
