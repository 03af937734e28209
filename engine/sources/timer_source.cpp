#include "engine/sources/timer_source.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <utility>

#include "engine/process/fd.h"
#include "engine/sources/parse.h"
#include "engine/sources/wording.h"

namespace cancelable {
namespace {

using std::chrono::milliseconds;

class TimeoutSource final : public CancelationSource {
public:
    TimeoutSource(Loop& loop, milliseconds after, milliseconds limit)
        : after_(after), limit_(limit), timer_(loop, [this] {
              const Listener listener = listener_;
              listener(Firing{CancelationReason::timeout, "it ran for " + spoken(limit_)});
          }) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        timer_.start(after_);
    }

private:
    milliseconds after_;
    milliseconds limit_;
    Listener listener_;
    Timer timer_;
};

// A timer of the kernel's on the wall clock: it follows when that is set.
class DeadlineSource final : public CancelationSource {
public:
    DeadlineSource(Loop& loop, WallTime at) : loop_(loop), at_(at) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        timer_.reset(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
        // 0 would be no time at all.
        const auto since_epoch = std::max(at_.time_since_epoch(), WallTime::duration(1));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
        itimerspec when{};
        when.it_value = {seconds.count(), std::chrono::nanoseconds(since_epoch - seconds).count()};
        if (!timer_ || ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) {
            // Out of descriptors: the loop's own clock is the next best.
            fallback_ = std::make_unique<Timer>(loop_, [this] { fire(); });
            fallback_->start(std::max(milliseconds(0), std::chrono::ceil<milliseconds>(at_ - wall_now())));
            return;
        }
        watch_ = std::make_unique<Watch>(loop_, timer_.get(), [this](Readiness) {
            watch_->want(false, false);
            fire();
        });
        watch_->want(true, false);
    }

private:
    void fire() {
        const Listener listener = listener_;
        listener(
            Firing{CancelationReason::timeout, "its deadline, " + format_point_in_time(at_) + ", has come"});
    }

    Loop& loop_;
    WallTime at_;
    Listener listener_;
    UniqueFd timer_;
    std::unique_ptr<Watch> watch_;
    std::unique_ptr<Timer> fallback_;
};

}  // namespace

SourcePtr timeout_source(Loop& loop, milliseconds after, milliseconds limit) {
    return std::make_unique<TimeoutSource>(loop, after, limit);
}

SourcePtr deadline_source(Loop& loop, WallTime at) {
    return std::make_unique<DeadlineSource>(loop, at);
}

}  // namespace cancelable
