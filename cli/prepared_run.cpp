#include "cli/prepared_run.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <ctime>
#include <utility>

#include "cli/caller.h"
#include "cli/selector_options.h"

namespace cancelable::cli {
namespace {

// Of an environment, in bytes. A larger one is quicker to pass in memory of its own.
constexpr std::size_t kMostInRequest = 4096;

std::size_t size_of(const std::vector<std::string>& environment) noexcept {
    std::size_t size = 0;
    for (const std::string& variable : environment)
        size += variable.size() + 1;
    return size;
}

}  // namespace

void PreparedRun::pass(const char* meaning, int fd) {
    params.descriptors.emplace_back(meaning);
    descriptors.push_back(fd);
}

void PreparedRun::pass(const char* meaning, UniqueFd fd) {
    pass(meaning, fd.get());
    owned.push_back(std::move(fd));
}

std::string random_key() {
    std::uint64_t words[2] = {};
    // Where the kernel has none yet, early at boot, the time and the pid are different enough.
    if (::getrandom(words, sizeof words, GRND_NONBLOCK) != sizeof words) {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        words[0] = static_cast<std::uint64_t>(now.tv_sec) << 32 | static_cast<std::uint64_t>(now.tv_nsec);
        words[1] = static_cast<std::uint64_t>(::getpid());
    }
    return fmt::format("{:016x}{:016x}", words[0], words[1]);
}

Result<PreparedRun> prepare_run(const Globals& globals, const RunSettings& settings,
                                std::vector<std::string> command, Requests requests) {
    PreparedRun prepared;
    ipc::RunParams& params = prepared.params;
    const auto socket = globals.socket_path();
    if (!socket) return std::unexpected(socket.error());

    params.launch = caller_settings();
    auto cwd = open_working_directory(settings.cwd);
    if (!cwd) return std::unexpected(cwd.error());

    OperationSpec& spec = params.spec;
    spec.name = settings.name;
    spec.command = std::move(command);
    spec.cwd = cwd->text;
    spec.tags = settings.tags;
    spec.detached = settings.detach;
    spec.timeout = settings.timeout;
    spec.grace = settings.grace;
    spec.signal = settings.signal;
    spec.orphans = settings.orphans;
    spec.cancel_on = settings.cancel_on;
    spec.pause_timeouts = settings.pause_timeouts;
    spec.hooks = settings.hooks;
    spec.key = random_key();
    params.operation_id = surrounding_operation(*socket);
    params.no_parent = settings.parent == "none";
    if (!settings.parent.empty() && !params.no_parent) spec.parent = parse_id(settings.parent).value_or(0);
    params.log = settings.logs();
    params.watch = !settings.detach;

    prepared.pass("cwd", std::move(cwd->fd));
    params.launch.environment = environment_with(settings.env);
    if (requests == Requests::many || size_of(params.launch.environment) > kMostInRequest) {
        auto memory = in_memory(std::exchange(params.launch.environment, {}));
        if (!memory) return std::unexpected(memory.error());
        prepared.pass("environment", std::move(*memory));
    }
    return prepared;
}

Result<> pass_lifeline(PreparedRun& prepared, const RunSettings& settings) {
    if (settings.on_disconnect != OnDisconnect::cancel) return {};
    auto pipe = make_pipe();
    if (!pipe) return std::unexpected(pipe.error());
    prepared.pass("lifeline", std::move(pipe->read_end));
    prepared.lifeline = std::move(pipe->write_end);
    return {};
}

}  // namespace cancelable::cli
