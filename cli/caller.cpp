#include "cli/caller.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace cancelable::cli {
namespace {

// Of an open directory; empty where nobody knows.
std::string path_of(const UniqueFd& directory) {
    char text[PATH_MAX];
    const std::string link = fmt::format("/proc/self/fd/{}", directory.get());
    const ssize_t length = ::readlink(link.c_str(), text, sizeof text);
    return {text, length > 0 ? static_cast<std::size_t>(length) : 0};
}

}  // namespace

unsigned fill_closed_stdio() noexcept {
    unsigned closed = 0;
    pollfd stdio[] = {{0, 0, 0}, {1, 0, 0}, {2, 0, 0}};
    // It fails where fewer descriptors than these are allowed.
    const bool asked = ::poll(stdio, std::size(stdio), 0) >= 0;
    for (const auto& [fd, events, state] : stdio) {
        if (asked ? (state & POLLNVAL) == 0 : ::fcntl(fd, F_GETFD) >= 0) continue;
        closed |= 1U << fd;
        // The lowest free number is this very one, since those below were filled before it.
        (void)::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    }
    return closed;
}

LaunchSettings caller_settings() {
    LaunchSettings settings;
    // There is no way to read it but to set it.
    settings.umask = ::umask(022);
    ::umask(settings.umask);
    errno = 0;
    const int nice = ::getpriority(PRIO_PROCESS, 0);
    settings.nice = nice == -1 && errno != 0 ? 0 : nice;
    settings.limits.reserve(RLIM_NLIMITS);
    for (int resource = 0; resource < static_cast<int>(RLIM_NLIMITS); ++resource) {
        rlimit limit{};
        if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0)
            settings.limits.push_back({resource, limit.rlim_cur, limit.rlim_max});
    }
    return settings;
}

std::vector<std::string> environment_with(const Variables& on_top) {
    std::vector<std::string> environment;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view variable(*entry);
        const auto replaces = [&](const auto& set) {
            return variable.starts_with(set.first) && variable.substr(set.first.size()).starts_with('=');
        };
        if (std::ranges::none_of(on_top, replaces)) environment.emplace_back(variable);
    }
    for (const auto& [key, value] : on_top)
        environment.push_back(key + '=' + value);
    return environment;
}

Result<UniqueFd> in_memory(const std::vector<std::string>& environment) {
    std::string bytes;
    for (const std::string& variable : environment)
        bytes.append(variable).push_back('\0');
    UniqueFd memory(::memfd_create("environment", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return system_error("cannot get memory for the environment");
    if (auto written = write_all(memory.get(), std::as_bytes(std::span(bytes))); !written)
        return std::unexpected(written.error());
    return memory;
}

Result<WorkingDirectory> open_working_directory(const std::string& path) {
    WorkingDirectory directory;
    auto fd = open_file(path.empty() ? "." : path.c_str(), O_PATH | O_DIRECTORY);
    if (!fd) return std::unexpected(fd.error());
    directory.fd = std::move(*fd);
    // Not by way of /proc, where that can be: for a process that asks the first time it is slow.
    char text[PATH_MAX];
    if (path.empty() && ::getcwd(text, sizeof text) != nullptr && text[0] == '/') directory.text = text;
    if (directory.text.empty()) directory.text = path_of(directory.fd);
    if (directory.text.empty()) directory.text = path.empty() ? "." : path;
    return directory;
}

OperationId surrounding_operation(const std::string& socket_path) noexcept {
    const char* id_text = std::getenv("CANCELABLE_OPERATION_ID");
    const char* socket = std::getenv("CANCELABLE_SOCKET");
    if (id_text == nullptr || socket == nullptr || socket_path != socket) return 0;
    const std::string_view digits(id_text);
    OperationId id = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    return error == std::errc{} && end == digits.data() + digits.size() ? id : 0;
}

bool runs_for_supervisor(const std::string& socket_path) noexcept {
    const char* socket = std::getenv("CANCELABLE_SOCKET");
    return std::getenv("CANCELABLE_SIDE_COMMAND") != nullptr && socket != nullptr && socket_path == socket;
}

bool stdin_is_somebody_elses() noexcept {
    // It fails where standard input is no terminal, or not the one of our session: nobody's job is disturbed
    // then.
    const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
    return foreground != -1 && foreground != ::getpgrp();
}

}  // namespace cancelable::cli
