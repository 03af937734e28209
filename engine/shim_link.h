#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "engine/shim/channel.h"
#include "engine/shim_pool.h"

namespace cancelable {

// The supervisor's end of the channel to one shim, and the watch over the shim's process.
//
// Callbacks come from the loop. A link may be destroyed inside its own callbacks.
class ShimLink {
public:
    struct Callbacks {
        // A report, and the memory with the operation's description if the shim sent it along.
        std::function<void(ShimReport, UniqueFd description)> reported;
        // The shim is dead, and reaped if it was our child; nothing more will be reported.
        std::function<void()> gone;
    };

    // To a shim that was just launched: our child.
    ShimLink(Loop& loop, LaunchedShim shim, Callbacks callbacks);

    // To a shim that an earlier supervisor launched: not our child, so that only the channel tells of its
    // end.
    ShimLink(Loop& loop, UniqueFd channel, Callbacks callbacks);

    ~ShimLink();
    ShimLink(const ShimLink&) = delete;
    ShimLink& operator=(const ShimLink&) = delete;

    // Never waits: what the channel cannot take now is sent when it can.
    void send(const ShimCommand& command, UniqueFd descriptor = {});

    // Lets the shim go after its last report, and closes the channel. `gone` comes once it is reaped, which
    // for one that has left orphans alone is when the last of them ends; never for a shim that is not our
    // child.
    void release();

    // Instead of release(), for a shim that can stay: it is the caller's again, held until it is told
    // something. Nothing, where something else is still to be told.
    std::optional<LaunchedShim> keep();

    // Says nothing more: the shim obeys what was sent, and then finds itself without a supervisor. Closing
    // the channel instead would take back what it has not read yet, where there are reports that we have not
    // read.
    void hang_up() noexcept;

    // Blocks until the shim's process is dead and reaped, or the time is over; for a supervisor that leaves.
    void await_end(std::chrono::steady_clock::time_point deadline) noexcept;

    // Continues a shim that somebody has stopped; one that an earlier supervisor launched where the kernel
    // can name it (from Linux 6.5 on).
    void wake_up() noexcept;

    // -1 for an adopted one.
    pid_t shim_pid() const noexcept { return process_.pid; }

    // True for a shim that an earlier supervisor launched.
    bool is_adopted() const noexcept { return !process_.pidfd; }

private:
    void watch_channel();
    void read_channel();
    void flush();
    void close_channel();
    void watch_process();
    void tell_gone();

    Loop& loop_;
    Callbacks callbacks_;
    Child process_;
    std::string listens_at_;
    UniqueFd peer_;  // of one that is not our child, once somebody needs it
    UniqueFd channel_;
    std::unique_ptr<Watch> channel_watch_;
    std::unique_ptr<Watch> process_watch_;
    struct Unsent {
        std::vector<std::byte> bytes;
        UniqueFd descriptor;  // none, for most
    };
    std::list<Unsent> unsent_;  // empty nearly always, and then of no size
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cancelable
