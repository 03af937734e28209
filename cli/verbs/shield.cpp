#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "cli/inside.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/verbs/verbs.h"
#include "cli/wrapped_command.h"
#include "engine/process/fd.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

constexpr std::chrono::seconds kDefaultLimit{30};

// A supervisor that goes away between the question and the shim's word is asked again, some times.
constexpr int kMaxTries = 3;

// How long a shim may take: it does nothing but wait, unless its machine is on its knees.
constexpr int kPatienceMs = 30'000;

// While `holder` is open the shield is up.
struct Shield {
    UniqueFd holder;
    pid_t shim = 0;
};

// Nothing: the connection ended before the shim said anything.
std::optional<pid_t> wait_for_shim(int holder) {
    pollfd watched{holder, POLLIN, 0};
    if (retry_eintr([&] { return ::poll(&watched, 1, kPatienceMs); }) <= 0) return std::nullopt;
    pid_t shim = 0;
    const ssize_t got = retry_eintr([&] { return ::read(holder, &shim, sizeof shim); });
    return got == static_cast<ssize_t>(sizeof shim) ? std::optional(shim) : std::nullopt;
}

Result<Shield> try_to_raise(const Globals& globals, std::chrono::milliseconds limit) {
    auto inside = connect_from_inside(globals);
    if (!inside) return std::unexpected(inside.error());
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return system_error("cannot make a shield");
    UniqueFd ours(pair[0]);
    UniqueFd theirs(pair[1]);
    const std::array<int, 1> descriptors{theirs.get()};
    const auto answer = inside->client.call("operation.shield",
                                            ipc::encode(ipc::ShieldParams{limit, inside->said}), descriptors);
    theirs.reset();
    if (!answer) return std::unexpected(answer.error());
    const auto shim = wait_for_shim(ours.get());
    if (!shim)
        return failure(ErrorCode::unreachable,
                       "the operation's shim did not take the shield: nothing was run");
    return Shield{std::move(ours), *shim};
}

Result<Shield> raise_shield(const Globals& globals, std::chrono::milliseconds limit) {
    for (int tries = 1;; ++tries) {
        auto shield = try_to_raise(globals, limit);
        if (shield || shield.error().code != ErrorCode::unreachable || tries == kMaxTries) return shield;
    }
}

}  // namespace

int verb_shield(Globals globals, const Words& words) {
    Options options("shield",
                    "Runs a command that a cancelation of the operation around it waits for. Outside of an "
                    "operation it just runs the command.");
    options.example("cancelable shield -- git push", "Ctrl-C at the operation takes effect after the push");
    options.example("cancelable shield --for 2m -- ./commit", "and waits two minutes for it at most");
    std::optional<std::chrono::milliseconds> limit;
    Words command;
    options.duration("--for", "how long a cancelation may be held back (default 30s)", limit);
    add_globals(options, globals);
    options.command(command);
    if (const auto done = options.parse(words)) return *done;
    if (command.empty()) {
        report_error("shield needs a command: cancelable shield [--for DURATION] [--] COMMAND [ARG...]");
        return kExitUsage;
    }
    WrappedCommand wrapped;
    auto shield = raise_shield(globals, limit.value_or(kDefaultLimit));
    if (!shield && shield.error().code != ErrorCode::not_found && shield.error().code != ErrorCode::refused) {
        report_error(shield.error().sentence());
        return kExitOwnFailure;
    }
    if (!shield) report_notice(globals, shield.error().sentence() + ": nothing is held back");
    const auto status = wrapped.run(command, shield ? shield->shim : 0);
    if (status) return *status;
    report_error(status.error().sentence());
    return kExitOwnFailure;
}

}  // namespace cancelable::cli
