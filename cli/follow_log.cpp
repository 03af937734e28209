#include "cli/follow_log.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/report.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kBlock = std::size_t{64} * 1024;

}  // namespace

Result<LogPrinter> LogPrinter::open(const std::string& path) {
    auto file = open_file(path.c_str(), O_RDONLY);
    if (!file) return std::unexpected(file.error());
    return LogPrinter(std::move(*file), path);
}

Result<> LogPrinter::skip_to_last_lines(std::size_t lines) {
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0) return system_error(fmt::format("cannot look at \"{}\"", path_));
    at_ = status.st_size;
    if (lines == 0) return {};
    // From the end, block by block: a log may be larger than memory.
    std::vector<char> block(kBlock);
    std::size_t seen = 0;
    bool at_end = true;
    while (at_ > 0) {
        const auto size = static_cast<std::size_t>(std::min<off_t>(at_, static_cast<off_t>(kBlock)));
        const off_t start = at_ - static_cast<off_t>(size);
        const ssize_t got = retry_eintr([&] { return ::pread(file_.get(), block.data(), size, start); });
        if (got < 0) return system_error(fmt::format("cannot read \"{}\"", path_));
        for (auto i = static_cast<std::size_t>(got); i-- > 0;) {
            // The newline that ends the last line begins none.
            if (block[i] == '\n' && !at_end && ++seen == lines) {
                at_ = start + static_cast<off_t>(i) + 1;
                return {};
            }
            at_end = false;
        }
        at_ = start;
    }
    return {};
}

Result<std::optional<int>> LogPrinter::print_new() {
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0) return system_error(fmt::format("cannot look at \"{}\"", path_));
    if (status.st_size < at_) at_ = 0;
    std::vector<char> block(kBlock);
    for (;;) {
        const ssize_t got =
            retry_eintr([&] { return ::pread(file_.get(), block.data(), block.size(), at_); });
        if (got < 0) return system_error(fmt::format("cannot read \"{}\"", path_));
        if (got == 0) return std::optional<int>();
        at_ += got;
        const int failed = print(std::string_view(block.data(), static_cast<std::size_t>(got)));
        if (failed != 0) return std::optional(failed);
    }
}

Result<int> LogPrinter::follow(LastingConnection& connection, OperationId id) {
    const UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch) return system_error("cannot watch for changes");
    if (::inotify_add_watch(watch.get(), path_.c_str(), IN_MODIFY) < 0)
        return system_error(fmt::format("cannot watch \"{}\"", path_));
    ipc::WaitParams params;
    params.selector.ids = {id};
    auto asked = connection.send("operation.wait", ipc::encode(params));
    for (bool ended = false;;) {
        if (!asked) return std::unexpected(asked.error());
        // The end is looked at before the file: what was written before it is then there to be read.
        auto happened = connection.next();
        if (!happened) return std::unexpected(happened.error());
        if (*happened) {
            if (const auto* message = std::get_if<ipc::Message>(&**happened)) {
                const auto* response = std::get_if<ipc::Response>(message);
                if (response == nullptr || response->request != *asked) continue;
                if (!response->result) return std::unexpected(response->result.error());
                ended = true;
            } else {
                asked = connection.send("operation.wait", ipc::encode(params));
                continue;
            }
        }
        const auto printed = print_new();
        if (!printed) return std::unexpected(printed.error());
        if (*printed) return **printed;
        if (ended) return kExitOk;
        pollfd watched[] = {{watch.get(), POLLIN, 0}, {connection.fd(), POLLIN, 0}};
        (void)::poll(watched, 2, connection.poll_timeout());
        alignas(inotify_event) char events[4096];
        while (::read(watch.get(), events, sizeof events) > 0) {
        }
    }
}

}  // namespace cancelable::cli
