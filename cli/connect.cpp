#include "cli/connect.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/caller.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/start_supervisor.h"
#include "cli/supervisor/lock.h"
#include "engine/directories.h"

namespace cancelable::cli {
namespace {

using Clock = std::chrono::steady_clock;

// How many supervisors may end before they are ready, before that is taken for a fault of theirs.
constexpr int kMaxDeaths = 10;

std::unexpected<Error> unreachable(std::string sentence) {
    return failure(ErrorCode::unreachable, std::move(sentence));
}

bool nobody_listens(const Error& error) noexcept {
    return error.code == ErrorCode::unreachable &&
           (error.os_errno == ENOENT || error.os_errno == ECONNREFUSED);
}

std::unexpected<Error> nobody_at(const std::string& socket) {
    return unreachable(fmt::format(
        "no supervisor listens at {}: start one with \"cancelable supervisor start\"", in_quotes(socket)));
}

Result<> check_directory(const std::string& directory, WhenAbsent when_absent) {
    struct stat status{};
    // Who only asks leaves nothing behind.
    if (when_absent == WhenAbsent::fail && ::lstat(directory.c_str(), &status) != 0) return {};
    if (auto checked = ensure_private_directory(directory); !checked)
        return unreachable(checked.error().sentence());
    return {};
}

}  // namespace

Result<ipc::Client> connect_to_supervisor(const Globals& globals, WhenAbsent when_absent) {
    const auto socket = globals.socket_path();
    if (!socket) return unreachable(socket.error().sentence());
    if (auto checked = check_directory(parent_directory(*socket), when_absent); !checked)
        return std::unexpected(checked.error());

    const bool may_start = surrounding_operation(*socket) == 0 && !runs_for_supervisor(*socket);
    std::optional<Clock::time_point> deadline;
    int deaths = 0;
    std::chrono::milliseconds pause{2};
    for (;;) {
        auto client = ipc::Client::connect(*socket);
        if (client) return client;
        if (!nobody_listens(client.error())) return unreachable(client.error().sentence());
        if (when_absent == WhenAbsent::fail) return nobody_at(*socket);
        if (!deadline) deadline = Clock::now() + kConnectPatience;
        if (Clock::now() > *deadline) break;
        if (may_start) {
            const auto started = start_supervisor({*socket, globals.named_config(), true});
            if (!started) return unreachable(started.error().sentence());
            if (globals.verbose && *started == Started::ready) report_notice(globals, "started a supervisor");
            if (*started == Started::ready) continue;
            // Whoever killed it may not kill the next one as well.
            if (*started == Started::died && ++deaths == kMaxDeaths) return unreachable(kDiedEarly);
        }
        std::this_thread::sleep_for(pause);
        pause = std::min(pause * 2, std::chrono::milliseconds(100));
    }
    if (!may_start)
        return unreachable(
            fmt::format("no supervisor listens at {}, and this is part of one of its operations, which must "
                        "not start one: start it from outside",
                        in_quotes(*socket)));
    return unreachable(
        fmt::format("the supervisor beside {} (pid {}) does not listen: it may be about to leave, so try "
                    "again, or end it",
                    in_quotes(*socket), SupervisorLock::holder(parent_directory(*socket))));
}

Result<std::optional<ipc::Client>> find_supervisor(const Globals& globals) {
    const auto socket = globals.socket_path();
    if (!socket) return unreachable(socket.error().sentence());
    if (auto checked = check_directory(parent_directory(*socket), WhenAbsent::fail); !checked)
        return std::unexpected(checked.error());
    auto client = ipc::Client::connect(*socket);
    if (client) return std::optional(std::move(*client));
    // EAGAIN: so many connect at once that the queue is full for the moment.
    if (nobody_listens(client.error()) || client.error().os_errno == EAGAIN) return std::nullopt;
    return unreachable(client.error().sentence());
}

}  // namespace cancelable::cli
