#include "cli/supervisor/lock.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <charconv>
#include <span>

namespace cancelable::cli {
namespace {

std::string lock_path(const std::string& runtime_directory) {
    return runtime_directory + "/lock";
}

}  // namespace

Result<std::optional<SupervisorLock>> SupervisorLock::take(const std::string& runtime_directory) {
    auto directory = open_file(runtime_directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) return std::unexpected(directory.error());
    const std::string path = lock_path(runtime_directory);
    auto file = open_file(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (!file) return std::unexpected(file.error());
    for (const UniqueFd* locked : {&*directory, &*file}) {
        if (retry_eintr([&] { return ::flock(locked->get(), LOCK_EX | LOCK_NB); }) == 0) continue;
        if (errno == EWOULDBLOCK) return std::nullopt;
        return system_error(fmt::format("cannot lock \"{}\"", path));
    }
    // The pid is a courtesy: a full disk keeps nobody from running.
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(file->get(), 0) == 0) (void)write_all(file->get(), std::as_bytes(std::span(pid)));
    return SupervisorLock(std::move(*directory), std::move(*file));
}

pid_t SupervisorLock::holder(const std::string& runtime_directory) noexcept {
    const UniqueFd file(::open(lock_path(runtime_directory).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    char text[32];
    const ssize_t length = file ? ::read(file.get(), text, sizeof text) : -1;
    pid_t pid = 0;
    if (length > 0) std::from_chars(text, text + length, pid);
    return pid;
}

}  // namespace cancelable::cli
