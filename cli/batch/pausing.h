#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "cli/lasting_connection.h"
#include "cli/terminal/suspension.h"
#include "engine/shim/spec.h"
#include "ipc/client.h"

namespace cancelable::cli {

// Ctrl-Z in a batch: all that runs is paused, then this process stops itself; continued, it resumes what it
// has paused.
//
// A second Ctrl-Z stops it without waiting for the pause, and so does a first that finds nobody for a while
// who could be told.
class BatchPausing {
public:
    BatchPausing(LastingConnection& connection, int wake_fd)
        : connection_(connection), suspension_(wake_fd) {}

    // While it is, nothing is to be started, and advance() is to be called whenever something has happened.
    bool is_busy() const noexcept { return suspension_.is_asked() || pause_request_ != 0 || resume_is_due_; }

    // `ids` are those that run, `all_known` says that there are no others. True: it is time to stop().
    Result<bool> advance(const std::vector<OperationId>& ids, bool all_known);

    // Returns when this process has been continued.
    void stop() noexcept;

    // True where this was an answer to what is asked here.
    bool take(const ipc::Response& response) noexcept;

    // There is another supervisor. Whether the last one has passed anything on, nobody knows.
    void renewed() noexcept;

    // -1: as long as it takes.
    int poll_timeout() const noexcept { return stop_by_ && pause_request_ == 0 ? 200 : -1; }

private:
    Result<> send(std::string_view method, const std::vector<OperationId>& ids, std::uint64_t& request);

    LastingConnection& connection_;
    Suspension suspension_;
    std::uint64_t pause_request_ = 0;
    std::uint64_t resume_request_ = 0;
    bool resume_is_due_ = false;
    int stops_seen_ = 0;
    bool is_still_ = false;                                         // the pause has been answered
    std::optional<std::chrono::steady_clock::time_point> stop_by_;  // whoever can be told by then
};

}  // namespace cancelable::cli
