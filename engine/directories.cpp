#include "engine/directories.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace cancelable {
namespace {

// Empty where the variable is unset or no absolute path.
std::string absolute_from_environment(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && value[0] == '/' ? value : std::string();
}

Result<std::string> under_home(const char* variable, const char* below_home) {
    if (const std::string base = absolute_from_environment(variable); !base.empty())
        return base + "/cancelable";
    const std::string home = absolute_from_environment("HOME");
    if (home.empty())
        return failure(ErrorCode::refused, fmt::format("HOME is not set: set it, or {}", variable));
    return fmt::format("{}/{}/cancelable", home, below_home);
}

}  // namespace

std::string default_runtime_directory() {
    if (const std::string base = absolute_from_environment("XDG_RUNTIME_DIR"); !base.empty())
        return base + "/cancelable";
    const std::string temporary = absolute_from_environment("TMPDIR");
    return fmt::format("{}/cancelable-{}", temporary.empty() ? "/tmp" : temporary, ::getuid());
}

Result<std::string> default_state_directory() {
    return under_home("XDG_STATE_HOME", ".local/state");
}

Result<std::string> default_config_directory() {
    return under_home("XDG_CONFIG_HOME", ".config");
}

Result<std::string> resolve_socket_path(const std::string& path) {
    std::string absolute = path.empty() ? default_runtime_directory() + "/socket" : path;
    if (absolute.front() != '/') {
        char buffer[PATH_MAX];
        if (::getcwd(buffer, sizeof buffer) == nullptr)
            return system_error(fmt::format("cannot tell where \"{}\" lies", path));
        absolute = fmt::format("{}/{}", buffer, path);
    }
    // The last byte of sun_path is for the terminator.
    constexpr std::size_t kLimit = sizeof(sockaddr_un::sun_path) - 1;
    if (absolute.size() > kLimit)
        return failure(ErrorCode::limit,
                       fmt::format("the socket path \"{}\" has {} bytes, and the kernel allows {}: "
                                   "choose a shorter one with --socket or CANCELABLE_SOCKET",
                                   absolute, absolute.size(), kLimit));
    return absolute;
}

std::string parent_directory(const std::string& path) {
    const auto slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<> ensure_private_directory(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
            return system_error(fmt::format("cannot create the directory \"{}\"", path));
        if (::lstat(path.c_str(), &status) != 0)
            return system_error(fmt::format("cannot look at the directory \"{}\"", path));
    }
    if (!S_ISDIR(status.st_mode))
        return failure(ErrorCode::refused,
                       fmt::format("\"{}\" is no directory: remove it, or choose another place", path));
    if (status.st_uid != ::geteuid())
        return failure(ErrorCode::refused,
                       fmt::format("the directory \"{}\" belongs to user {}, not to you: "
                                   "choose another place with --socket or XDG_RUNTIME_DIR",
                                   path, status.st_uid));
    if ((status.st_mode & 077) != 0)
        return failure(
            ErrorCode::refused,
            fmt::format("the directory \"{}\" is open to others (mode {:04o}): choose one of your own, or "
                        "close this one with chmod 700",
                        path, status.st_mode & 07777));
    return {};
}

Result<> ensure_private_directory_tree(const std::string& path) {
    const std::string above = parent_directory(path);
    struct stat status{};
    if (above != path && ::stat(above.c_str(), &status) != 0) {
        if (errno != ENOENT) return system_error(fmt::format("cannot look at the directory \"{}\"", above));
        if (auto made = ensure_private_directory_tree(above); !made) return made;
    }
    return ensure_private_directory(path);
}

}  // namespace cancelable
