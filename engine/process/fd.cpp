#include "engine/process/fd.h"

namespace cancelable {

Result<Pipe> make_pipe(int flags) {
    int ends[2];
    if (::pipe2(ends, flags | O_CLOEXEC) != 0) return system_error("cannot make a pipe");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Result<UniqueFd> open_file(const char* path, int flags, unsigned mode) {
    UniqueFd fd(retry_eintr([&] { return ::open(path, flags | O_CLOEXEC, mode); }));
    if (!fd) return system_error("cannot open \"" + std::string(path) + "\"");
    return fd;
}

Result<> write_all(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = retry_eintr([&] { return ::write(fd, bytes.data(), bytes.size()); });
        if (written < 0) return system_error("cannot write");
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace cancelable
