#include "engine/sources/idle_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "engine/sources/wording.h"

namespace cancelable {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Beyond what the two clocks drift apart while a program is suspended for a moment.
constexpr milliseconds kClockWasSet{500};

// A file's time is that of the last tick of the kernel, so it may lie before what it dates.
constexpr milliseconds kTick{10};

std::optional<FileState> look_at(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return FileState{
        WallTime(std::chrono::seconds(status.st_mtim.tv_sec) + microseconds(status.st_mtim.tv_nsec / 1000)),
        status.st_size};
}

class IdleSource final : public CancelationSource {
public:
    IdleSource(Loop& loop, BlockingCalls& calls, std::string path, milliseconds duration)
        : calls_(calls), path_(std::move(path)), duration_(duration), timer_(loop, [this] { look(); }) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        look();
    }

    void set_paused(bool paused) override {
        paused_ = paused;
        if (!paused) {
            counts_from_ = Silence::Clock::now();
            return look();
        }
        timer_.stop();
        if (!std::exchange(holds_, false)) return;
        const Listener listener = listener_;
        listener(std::nullopt);
    }

private:
    void look() {
        calls_.run([weak = std::weak_ptr(self_), path = path_] {
            return BlockingCalls::Finish([weak, state = look_at(path)] {
                if (const auto self = weak.lock()) (*self)->take(state);
            });
        });
    }

    void take(const std::optional<FileState>& state) {
        if (paused_) return;  // Asked for before the operation was.
        const auto now = Silence::Clock::now();
        milliseconds lasted = silence_.look(state, now, wall_now());
        if (counts_from_) lasted = std::min(lasted, std::chrono::floor<milliseconds>(now - *counts_from_));
        const bool holds = lasted >= duration_;
        // Where it holds already, new output must be noticed before others judge by it.
        timer_.start(holds ? std::clamp(duration_ / 4, milliseconds(100), milliseconds(1000))
                           : std::max(duration_ - lasted, milliseconds(1)));
        if (holds == std::exchange(holds_, holds)) return;
        const Listener listener = listener_;
        if (!holds) return listener(std::nullopt);
        listener(Firing{CancelationReason::idle, "no output for " + spoken(duration_)});
    }

    BlockingCalls& calls_;
    std::string path_;
    milliseconds duration_;
    Timer timer_;
    Silence silence_;
    bool holds_ = false;
    bool paused_ = false;
    std::optional<Silence::Clock::time_point> counts_from_;  // the operation has gone on then
    Listener listener_;
    std::shared_ptr<IdleSource*> self_ = std::make_shared<IdleSource*>(this);
};

}  // namespace

milliseconds Silence::look(const std::optional<FileState>& state, Clock::time_point now, WallTime wall) {
    // A log that somebody has removed cannot be judged: it counts as written to.
    if (!state) {
        last_.reset();
        since_ = now;
        return milliseconds(0);
    }
    const auto offset =
        wall.time_since_epoch() - std::chrono::duration_cast<microseconds>(now.time_since_epoch());
    const bool was_set = last_ && std::chrono::abs(offset - last_->clock_offset) > kClockWasSet;
    const auto age = std::max(microseconds(0), wall - state->written - kTick);
    if (!last_) {
        // The first look, of a log that is just being made, or that an earlier supervisor has looked at.
        since_ = now - age;
    } else if (state != last_->state) {
        const auto look_ago = std::chrono::duration_cast<microseconds>(now - last_->at);
        since_ = now - (was_set ? microseconds(0) : std::min(age, look_ago));
    }
    last_ = Last{*state, now, offset};
    return std::chrono::floor<milliseconds>(now - since_);
}

SourcePtr idle_source(Loop& loop, BlockingCalls& calls, std::string path, milliseconds duration) {
    return std::make_unique<IdleSource>(loop, calls, std::move(path), duration);
}

}  // namespace cancelable
