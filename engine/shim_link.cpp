#include "engine/shim_link.h"

#include <sys/socket.h>

#include <csignal>
#include <utility>

#include "engine/process/pidfd.h"

namespace cancelable {
ShimLink::ShimLink(Loop& loop, LaunchedShim shim, Callbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      process_(std::move(shim.process)),
      listens_at_(std::move(shim.listens_at)),
      channel_(std::move(shim.channel)),
      channel_watch_(std::move(shim.watch)) {
    watch_channel();
}

ShimLink::ShimLink(Loop& loop, UniqueFd channel, Callbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), channel_(std::move(channel)) {
    watch_channel();
}

void ShimLink::watch_channel() {
    const auto read = [this](Readiness) { read_channel(); };
    if (channel_watch_)
        channel_watch_->hand_over(read);
    else
        channel_watch_ = std::make_unique<Watch>(loop_, channel_.get(), read);
    channel_watch_->want(true, false);
}

ShimLink::~ShimLink() {
    *alive_ = false;
}

void ShimLink::read_channel() {
    flush();
    const std::shared_ptr<bool> alive = alive_;
    while (*alive && channel_) {
        auto packet = receive_packet(channel_.get());
        if (!packet && packet.error().os_errno == EAGAIN) return;
        if (!packet || packet->bytes.empty()) {
            close_channel();
            if (process_.pidfd)
                watch_process();
            else
                tell_gone();
            return;
        }
        // What is no report comes from a shim gone mad, and is as good as nothing.
        if (auto report = decode_report(packet->bytes)) {
            const auto reported = callbacks_.reported;
            const bool was_last = report->over;
            reported(std::move(*report), packet->take_descriptor());
            if (was_last) return;  // If something follows all the same, we are called again.
        }
    }
}

void ShimLink::send(const ShimCommand& command, UniqueFd descriptor) {
    if (!channel_) return;
    unsent_.push_back({encode(command), std::move(descriptor)});
    flush();
}

void ShimLink::flush() {
    while (channel_ && !unsent_.empty()) {
        const int descriptor = unsent_.front().descriptor.get();
        const auto sent = send_packet(channel_.get(), unsent_.front().bytes,
                                      std::span(&descriptor, descriptor >= 0 ? 1 : 0));
        if (!sent && (sent.error().os_errno == EAGAIN || sent.error().os_errno == ENOBUFS)) break;
        // A shim that is gone needs no commands; the end of the channel is read, not guessed.
        unsent_.pop_front();
    }
    if (channel_watch_) channel_watch_->want(true, !unsent_.empty());
}

void ShimLink::release() {
    send({.kind = ShimCommandKind::release});
    close_channel();
    if (process_.pidfd) watch_process();
}

std::optional<LaunchedShim> ShimLink::keep() {
    if (!channel_ || !unsent_.empty()) return std::nullopt;
    return LaunchedShim{std::move(process_), std::move(channel_), std::move(channel_watch_),
                        std::move(listens_at_)};
}

void ShimLink::hang_up() noexcept {
    if (channel_) ::shutdown(channel_.get(), SHUT_WR);
}

void ShimLink::close_channel() {
    channel_watch_.reset();
    channel_.reset();
    unsent_.clear();
}

void ShimLink::watch_process() {
    if (process_watch_) return;
    process_watch_ = std::make_unique<Watch>(loop_, process_.pidfd.get(), [this](Readiness) {
        if (!reap(process_.pidfd.get())) return;
        process_watch_.reset();
        tell_gone();
    });
    process_watch_->want(true, false);
}

void ShimLink::tell_gone() {
    // A copy, since the link and its callbacks may not survive the call.
    const auto gone = callbacks_.gone;
    gone();
}

void ShimLink::await_end(std::chrono::steady_clock::time_point deadline) noexcept {
    reap_by(process_.pidfd.get(), deadline);
}

// Of a shim that is not our child the kernel tells the process that listened when the channel was connected:
// the shim itself, or, where it had not come to that yet, an earlier supervisor, which is dead. Either is
// pinned.
void ShimLink::wake_up() noexcept {
    if (!process_.pidfd && !peer_ && channel_) peer_ = peer_pidfd(channel_.get());
    const UniqueFd& shim = process_.pidfd ? process_.pidfd : peer_;
    if (shim) pidfd_send_signal(shim.get(), SIGCONT);
}

}  // namespace cancelable
