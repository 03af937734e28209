#include "engine/result_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <span>

#include "engine/process/fd.h"

namespace cancelable {
namespace {

std::string result_name(OperationId id) {
    return std::to_string(id) + ".result";
}

}  // namespace

Result<> write_result(int directory, OperationId id, std::string_view bytes) {
    const std::string name = result_name(id);
    const std::string draft = name + ".new";
    const std::string doing = "cannot keep the result of operation " + std::to_string(id);
    UniqueFd file(::openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return system_error(doing);
    const auto written = write_all(file.get(), std::as_bytes(std::span(bytes)));
    if (written && ::renameat(directory, draft.c_str(), directory, name.c_str()) == 0) return {};
    const int os_errno = written ? errno : written.error().os_errno;
    ::unlinkat(directory, draft.c_str(), 0);
    return system_error(doing, os_errno);
}

std::optional<std::string> read_result(int directory, OperationId id) {
    const UniqueFd file(::openat(directory, result_name(id).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::string bytes(kResultLimit, '\0');
    std::size_t length = 0;
    while (length < bytes.size()) {
        const ssize_t got =
            retry_eintr([&] { return ::read(file.get(), bytes.data() + length, bytes.size() - length); });
        if (got < 0) return std::nullopt;
        if (got == 0) break;
        length += static_cast<std::size_t>(got);
    }
    bytes.resize(length);
    return bytes;
}

void forget_result(int directory, OperationId id) noexcept {
    ::unlinkat(directory, result_name(id).c_str(), 0);
}

}  // namespace cancelable
