#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <span>
#include <utility>

#include "engine/process/error.h"

namespace cancelable {

// Owns one file descriptor, or none. Everything that makes one sets close-on-exec from birth.
class UniqueFd {
public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    // Keeps errno, so that it may run between a failed call and the report of it.
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) {
            const int saved = errno;
            ::close(fd_);  // On Linux the descriptor is gone whatever close says; EINTR must not be retried.
            errno = saved;
        }
        fd_ = fd;
    }

private:
    int fd_ = -1;
};

// Calls again while a signal interrupts; the value and errno of the last try are the result.
template <class Call>
auto retry_eintr(Call&& call) {
    auto result = call();
    while (result == -1 && errno == EINTR)
        result = call();
    return result;
}

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

// `flags` as of pipe2, O_CLOEXEC is added.
Result<Pipe> make_pipe(int flags = 0);

// Opens with O_CLOEXEC added.
Result<UniqueFd> open_file(const char* path, int flags, unsigned mode = 0);

// Writes all of it, or says why it could not.
Result<> write_all(int fd, std::span<const std::byte> bytes);

}  // namespace cancelable
