#include "engine/shim_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "engine/process/pidfd.h"
#include "engine/shim/channel.h"

namespace cancelable {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kKept = 2;
constexpr std::chrono::milliseconds kHold{20};
constexpr std::chrono::seconds kLook{1};

}  // namespace

ShimPool::ShimPool(Loop& loop, int directory)
    : loop_(loop),
      directory_(directory),
      release_timer_(loop, [this] { release_held(); }),
      trim_timer_(loop, [this] { trim(); }) {}

ShimPool::~ShimPool() {
    while (!idle_.empty())
        end(std::move(*take()));
    const auto deadline = Clock::now() + kPartingPatience;
    for (Leaving& shim : leaving_) {
        shim.death.reset();
        reap_by(shim.process.pidfd.get(), deadline);
    }
}

void ShimPool::put(LaunchedShim shim) {
    shim.held_since = Clock::now();
    idle_.push_back(std::move(shim));
    if (!release_timer_.is_active()) release_timer_.start(kHold);
    const auto entry = std::prev(idle_.end());
    const auto listen = [this, entry](Readiness) {
        // It may have said more of its last operation than that it was over.
        auto packet = receive_packet(entry->channel.get());
        while (packet && !packet->bytes.empty())
            packet = receive_packet(entry->channel.get());
        if (!packet && packet.error().os_errno == EAGAIN) return;
        LaunchedShim dead = std::move(*entry);
        idle_.erase(entry);
        spare_ = std::min(spare_, idle_.size());
        end(std::move(dead));
    };
    if (entry->watch)
        entry->watch->hand_over(listen);
    else
        entry->watch = std::make_unique<Watch>(loop_, entry->channel.get(), listen);
    entry->watch->want(true, false);
    if (idle_.size() > kKept && !trim_timer_.is_active()) {
        spare_ = idle_.size();
        trim_timer_.start(kLook);
    }
}

std::optional<LaunchedShim> ShimPool::take() {
    if (idle_.empty()) return std::nullopt;
    LaunchedShim shim = std::move(idle_.back());
    idle_.pop_back();
    spare_ = std::min(spare_, idle_.size());
    return shim;
}

void ShimPool::end(LaunchedShim shim) {
    // Else it would leave the end of its last operation to the next supervisor, as a record.
    if (shim.held_since)
        static_cast<void>(
            send_packet(shim.channel.get(), encode(ShimCommand{.kind = ShimCommandKind::release})));
    take_name_off(shim);
    shim.watch.reset();
    shim.channel.reset();
    leaving_.push_back({std::move(shim.process), nullptr});
    const auto entry = std::prev(leaving_.end());
    const int pidfd = entry->process.pidfd.get();
    entry->death = std::make_unique<Watch>(loop_, pidfd, [this, entry, pidfd](Readiness) {
        if (reap(pidfd)) leaving_.erase(entry);
    });
    entry->death->want(true, false);
}

bool ShimPool::owns(pid_t pid) const noexcept {
    const auto is_it = [pid](const auto& shim) { return shim.process.pid == pid; };
    return std::ranges::any_of(idle_, is_it) || std::ranges::any_of(leaving_, is_it);
}

bool ShimPool::rename(LaunchedShim& shim, std::string name) const {
    if (shim.listens_at.empty()) return false;
    if (::renameat(directory_, shim.listens_at.c_str(), directory_, name.c_str()) != 0) {
        take_name_off(shim);
        return false;
    }
    shim.listens_at = std::move(name);
    return true;
}

void ShimPool::take_name_off(LaunchedShim& shim) const noexcept {
    if (!shim.listens_at.empty()) ::unlinkat(directory_, shim.listens_at.c_str(), 0);
    shim.listens_at.clear();
}

void ShimPool::release_held() {
    const auto release = encode(ShimCommand{.kind = ShimCommandKind::release, .stay = true});
    const auto now = Clock::now();
    // They came one after the other.
    for (LaunchedShim& shim : idle_) {
        if (!shim.held_since) continue;
        if (const auto held = now - *shim.held_since; held < kHold) {
            release_timer_.start(std::chrono::ceil<std::chrono::milliseconds>(kHold - held));
            return;
        }
        // Without a name it is given another socket by its next operation.
        static_cast<void>(rename(shim, idle_channel_name(shim.process.pid)));
        // One that cannot be told is released by its next operation all the same, or by its end.
        if (send_packet(shim.channel.get(), release)) shim.held_since.reset();
    }
}

void ShimPool::trim() {
    // The oldest: those at the end are the ones that were in use.
    for (; spare_ > 0 && idle_.size() > kKept; --spare_) {
        LaunchedShim shim = std::move(idle_.front());
        idle_.pop_front();
        end(std::move(shim));
    }
    spare_ = idle_.size();
    if (idle_.size() > kKept) trim_timer_.start(kLook);
}

}  // namespace cancelable
