#include "ipc/run_request.h"

#include <sys/stat.h>

#include <utility>

namespace cancelable::ipc {
namespace {

Result<mode_t> type_of(const UniqueFd& fd) {
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return system_error("cannot look at a descriptor that was passed");
    return status.st_mode & S_IFMT;
}

UniqueFd& place_for(RunRequest& request, const std::string& name) {
    if (name == "stdin") return request.stdio[0];
    if (name == "stdout") return request.stdio[1];
    if (name == "stderr") return request.stdio[2];
    return name == "cwd" ? request.cwd : request.lifeline;
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

Result<> check_lifeline(const RunRequest& request) {
    if (!request.lifeline) return {};
    const auto type = type_of(request.lifeline);
    if (!type) return std::unexpected(type.error());
    if (*type != S_IFIFO && *type != S_IFSOCK)
        return failure(ErrorCode::usage,
                       "the descriptor passed as \"lifeline\" is neither a pipe nor a socket");
    return {};
}

}  // namespace

Result<RunRequest> make_run_request(RunParams params, std::vector<UniqueFd> descriptors) {
    RunRequest request;
    request.spec = std::move(params.spec);
    request.launch = std::move(params.launch);
    request.want_log = params.log;
    for (std::size_t i = 0; i < descriptors.size(); ++i)
        place_for(request, params.descriptors[i]) = std::move(descriptors[i]);
    if (auto checked = check_cwd(request); !checked) return std::unexpected(checked.error());
    if (auto checked = check_lifeline(request); !checked) return std::unexpected(checked.error());
    return request;
}

}  // namespace cancelable::ipc
