#include "engine/launcher.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstdio>
#include <utility>

#include "engine/kill_point.h"
#include "engine/process/pidfd.h"
#include "engine/shim/acceptance.h"
#include "engine/shim/channel.h"

namespace cancelable {
namespace {

// By way of the directory's descriptor: the path stays short however deep the runtime directory lies.
sockaddr_un channel_address(int directory, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name.c_str());
    return address;
}

Result<UniqueFd> listen_for_supervisors(int directory, const std::string& name) {
    UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!listener) return system_error("cannot make a channel");
    const sockaddr_un address = channel_address(directory, name);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(listener.get(), generic, sizeof address) != 0 || ::listen(listener.get(), 4) != 0)
        return system_error("cannot make the channel \"" + name + "\"");
    return listener;
}

}  // namespace

Result<ShimLauncher> ShimLauncher::create(std::string shim_path, int directory) {
    if (::access(shim_path.c_str(), X_OK) != 0)
        return system_error("cannot execute the shim \"" + shim_path + "\"");
    auto null = open_file("/dev/null", O_RDWR);
    if (!null) return std::unexpected(null.error());
    return ShimLauncher(std::move(shim_path), directory, std::move(*null));
}

Result<LaunchedShim> ShimLauncher::launch(const OperationSpec& spec, const LaunchSettings& settings,
                                          const LaunchDescriptors& descriptors) {
    // First of all, so that whatever is found of it can be told by its name. Without it the next reader knows
    // less, and that is all.
    static_cast<void>(acceptances_ != nullptr ? acceptances_->write(spec)
                                              : write_acceptance(directory_, spec));
    kill_point("accepted");
    auto shim = guard(spec, settings, descriptors, true);
    if (!shim) remove_traces(directory_, spec.id);
    kill_point("launched");
    return shim;
}

Result<LaunchedShim> ShimLauncher::launch_unlisted(const OperationSpec& spec, const LaunchSettings& settings,
                                                   const LaunchDescriptors& descriptors) {
    return guard(spec, settings, descriptors, false);
}

Result<LaunchedShim> ShimLauncher::guard(const OperationSpec& spec, const LaunchSettings& settings,
                                         const LaunchDescriptors& descriptors, bool listed) {
    BorrowedAssignment assignment;
    assignment.descriptors.fill(-1);
    assignment[ShimDescriptors::kDirectory] = listed ? directory_ : -1;
    assignment[ShimDescriptors::kCwd] = descriptors.cwd;
    assignment[ShimDescriptors::kLifeline] = descriptors.lifeline;
    assignment[ShimDescriptors::kSlots] = descriptors.slots;
    assignment[ShimDescriptors::kTurn] = descriptors.turn;
    assignment[ShimDescriptors::kNextTurn] = descriptors.next_turn;
    for (int fd = 0; fd < 3; ++fd)
        assignment[ShimDescriptors::kStdin + fd] = descriptors.stdio[static_cast<std::size_t>(fd)];
    assignment.description = encode(spec, settings);
    const std::string name = listed ? channel_name(spec.id) : std::string();
    if (assignment.description.size() <= kDescriptionLimit)
        if (auto shim = assign(name, assignment)) return std::move(*shim);

    const auto memory = make_description(assignment.description);
    if (!memory) return std::unexpected(memory.error());
    assignment[ShimDescriptors::kSpec] = memory->get();
    UniqueFd listener;
    if (listed) {
        auto made = listen_for_supervisors(directory_, name);
        if (!made) return std::unexpected(made.error());
        listener = std::move(*made);
        kill_point("bound");
    }
    assignment[ShimDescriptors::kListener] = listener.get();
    auto shim = start(assignment);
    if (shim) shim->listens_at = name;
    return shim;
}

// One that has died meanwhile, or cannot be told at once, is passed over.
std::optional<LaunchedShim> ShimLauncher::assign(const std::string& name, BorrowedAssignment& assignment) {
    while (pool_ != nullptr) {
        auto shim = pool_->take();
        if (!shim) break;
        // Its listening socket gets the operation's name. Where it has none, it is given one.
        UniqueFd listener;
        if (name.empty()) {
            pool_->take_name_off(*shim);
        } else if (!pool_->rename(*shim, name)) {
            auto made = listen_for_supervisors(directory_, name);
            if (!made) {
                pool_->put(std::move(*shim));
                break;
            }
            listener = std::move(*made);
            shim->listens_at = name;
        }
        if (!name.empty()) kill_point("bound");
        assignment[ShimDescriptors::kListener] = listener.get();
        if (send_assignment(shim->channel.get(), assignment)) {
            kill_point("assigned");
            // Somebody may have stopped it.
            pidfd_send_signal(shim->process.pidfd.get(), SIGCONT);
            return shim;
        }
        pool_->end(std::move(*shim));
    }
    return std::nullopt;
}

Result<LaunchedShim> ShimLauncher::start(const BorrowedAssignment& assignment) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return system_error("cannot make a channel");
    UniqueFd ours(pair[0]);
    const UniqueFd theirs(pair[1]);

    static_assert(ShimDescriptors::kLast < kMostTargets);
    std::array<DescriptorMove, ShimDescriptors::kLast + 1> moves;
    for (int fd = 0; fd < ShimDescriptors::kChannel; ++fd)
        moves[static_cast<std::size_t>(fd)] = {fd, null_.get()};
    moves[ShimDescriptors::kChannel] = {ShimDescriptors::kChannel, theirs.get()};
    for (int number = ShimDescriptors::kFirst; number <= ShimDescriptors::kLast; ++number)
        moves[static_cast<std::size_t>(number)] = {number, assignment[number]};
    // Empty words: room for what the shim shows of itself in a process list.
    std::array<const char*, 64> argv;
    argv.fill("");
    argv.front() = "cancelable-shim";
    argv.back() = nullptr;
    const std::array<const char*, 1> environment{nullptr};
    const std::array<const char*, 1> paths{shim_path_.c_str()};
    auto process = spawn({.paths = paths,
                          .argv = argv.data(),
                          .environment = environment.data(),
                          .descriptors = moves,
                          .new_session = true});
    if (!process) return std::unexpected(process.error().error);
    return LaunchedShim{std::move(*process), std::move(ours)};
}

Result<UniqueFd> connect_to_shim(int directory, OperationId id) {
    UniqueFd channel(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!channel) return system_error("cannot make a channel");
    const sockaddr_un address = channel_address(directory, channel_name(id));
    if (::connect(channel.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return system_error("cannot connect to the shim of operation " + std::to_string(id));
    return channel;
}

}  // namespace cancelable
