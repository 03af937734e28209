#include "ipc/run_request.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace cancelable::ipc {
namespace {

Result<mode_t> type_of(const UniqueFd& fd) {
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return system_error("cannot look at a descriptor that was passed");
    return status.st_mode & S_IFMT;
}

UniqueFd& place_for(RunRequest& request, UniqueFd& environment, const std::string& name) {
    if (name == "environment") return environment;
    if (name == "stdin") return request.stdio[0];
    if (name == "stdout") return request.stdio[1];
    if (name == "stderr") return request.stdio[2];
    if (name == "slots") return request.slots;
    if (name == "turn") return request.turn;
    if (name == "next_turn") return request.next_turn;
    return name == "cwd" ? request.cwd : request.lifeline;
}

// Only memory: a file's system may hang, and a pipe may never end.
Result<std::vector<std::string>> read_environment(const UniqueFd& memory) {
    constexpr off_t kLimit = 8 << 20;  // more than the kernel gives any program
    struct stat status{};
    if (::fcntl(memory.get(), F_GET_SEALS) < 0 || ::fstat(memory.get(), &status) != 0)
        return failure(ErrorCode::usage,
                       "the descriptor passed as \"environment\" is no memory (memfd_create)");
    if (status.st_size > kLimit) return failure(ErrorCode::usage, "the environment is larger than 8 MiB");
    std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
    const ssize_t got = retry_eintr([&] { return ::pread(memory.get(), bytes.data(), bytes.size(), 0); });
    if (got < 0) return system_error("cannot read the environment");
    std::vector<std::string> environment;
    const std::string_view all = std::string_view(bytes).substr(0, static_cast<std::size_t>(got));
    for (std::size_t at = 0; at < all.size();) {
        const auto end = std::min(all.find('\0', at), all.size());
        environment.emplace_back(all.substr(at, end - at));
        at = end + 1;
    }
    return environment;
}

Result<> check_cwd(RunRequest& request) {
    const std::string& path = request.spec.cwd;
    if (!request.cwd) {
        if (!path.starts_with('/'))
            return failure(ErrorCode::usage,
                           "operation.run needs a working directory: a \"cwd\" descriptor, or an absolute "
                           "path as \"cwd\"");
        auto opened = open_file(path.c_str(), O_PATH | O_DIRECTORY);
        if (!opened) return std::unexpected(opened.error());
        request.cwd = std::move(*opened);
    }
    const auto type = type_of(request.cwd);
    if (!type) return std::unexpected(type.error());
    if (*type != S_IFDIR)
        return failure(ErrorCode::usage, "the descriptor passed as \"cwd\" is not a directory");
    return {};
}

// Whose other end is waited for.
Result<> check_end(const UniqueFd& fd, const std::string& name) {
    if (!fd) return {};
    const auto type = type_of(fd);
    if (!type) return std::unexpected(type.error());
    if (*type != S_IFIFO && *type != S_IFSOCK)
        return failure(ErrorCode::usage,
                       "the descriptor passed as \"" + name + "\" is neither a pipe nor a socket");
    return {};
}

// A shim reads from it, and never waits for that.
Result<> check_slots(const RunRequest& request) {
    if (!request.slots) return {};
    const auto type = type_of(request.slots);
    if (!type) return std::unexpected(type.error());
    const int flags = ::fcntl(request.slots.get(), F_GETFL);
    if (flags < 0) return system_error("cannot look at a descriptor that was passed");
    if (*type != S_IFIFO || (flags & O_ACCMODE) != O_RDWR || (flags & O_NONBLOCK) == 0)
        return failure(ErrorCode::usage,
                       "the descriptor passed as \"slots\" is no pipe that is open for reading and writing, "
                       "without waiting");
    return {};
}

}  // namespace

Result<RunRequest> make_run_request(RunParams params, std::vector<UniqueFd> descriptors) {
    RunRequest request;
    request.spec = std::move(params.spec);
    request.launch = std::move(params.launch);
    request.want_log = params.log;
    UniqueFd environment;
    for (std::size_t i = 0; i < descriptors.size(); ++i)
        place_for(request, environment, params.descriptors[i]) = std::move(descriptors[i]);
    if (environment) {
        auto read = read_environment(environment);
        if (!read) return std::unexpected(read.error());
        request.launch.environment = std::move(*read);
    }
    if (auto checked = check_cwd(request); !checked) return std::unexpected(checked.error());
    if (auto checked = check_end(request.lifeline, "lifeline"); !checked)
        return std::unexpected(checked.error());
    if (auto checked = check_end(request.turn, "turn"); !checked) return std::unexpected(checked.error());
    if (auto checked = check_slots(request); !checked) return std::unexpected(checked.error());
    return request;
}

}  // namespace cancelable::ipc
