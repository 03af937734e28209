#include "cli/caller.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <climits>
#include <cstdlib>
#include <string_view>

namespace cancelable::cli {

unsigned fill_closed_stdio() noexcept {
    unsigned closed = 0;
    for (int fd = 0; fd <= 2; ++fd) {
        if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
        closed |= 1U << fd;
        // The lowest free number is this very one, since those below were filled before it.
        (void)::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
    }
    return closed;
}

LaunchSettings caller_settings(unsigned closed_stdio) {
    LaunchSettings settings;
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
        settings.environment.emplace_back(*entry);
    // There is no way to read it but to set it.
    settings.umask = ::umask(022);
    ::umask(settings.umask);
    errno = 0;
    const int nice = ::getpriority(PRIO_PROCESS, 0);
    settings.nice = nice == -1 && errno != 0 ? 0 : nice;
    for (int resource = 0; resource < static_cast<int>(RLIM_NLIMITS); ++resource) {
        rlimit limit{};
        if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0)
            settings.limits.push_back({resource, limit.rlim_cur, limit.rlim_max});
    }
    settings.closed_stdio = closed_stdio;
    return settings;
}

void set_variable(std::vector<std::string>& environment, const std::string& key, const std::string& value) {
    const std::string start = key + "=";
    std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(start); });
    environment.push_back(start + value);
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
    char text[PATH_MAX];
    const std::string link = fmt::format("/proc/self/fd/{}", directory.fd.get());
    const ssize_t length = ::readlink(link.c_str(), text, sizeof text);
    if (length > 0)
        directory.text.assign(text, static_cast<std::size_t>(length));
    else
        directory.text = path.empty() ? "." : path;
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
