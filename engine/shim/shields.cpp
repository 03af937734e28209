#include "engine/shim/shields.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace cancelable {
namespace {

std::chrono::milliseconds length_of(const StopPlan& plan) {
    std::chrono::milliseconds sum{0};
    for (const StopStep& step : plan)
        sum += step.wait;
    return sum;
}

}  // namespace

bool Shields::add(UniqueFd holder, std::chrono::milliseconds limit) {
    if (!holder || shields_.size() >= kLimit) return false;
    if (!poll_) poll_.reset(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event
        hang_up{};  // A hang-up is told without being asked for; what is written is nobody's business.
    if (!poll_ || ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, holder.get(), &hang_up) != 0) return false;
    shields_.push_back({std::move(holder), limit});
    return true;
}

bool Shields::drop_closed() {
    const auto is_over = [](const Shield& shield) {
        pollfd holder{shield.holder.get(), 0, 0};
        return ::poll(&holder, 1, 0) > 0 && (holder.revents & (POLLHUP | POLLERR)) != 0;
    };
    return std::erase_if(shields_, is_over) > 0;
}

std::chrono::milliseconds Shields::longest_limit() const noexcept {
    std::chrono::milliseconds longest{0};
    for (const Shield& shield : shields_)
        longest = std::max(longest, shield.limit);
    return longest;
}

bool Shields::hold(const StopPlan& plan, Clock::time_point now) {
    if (plan.empty() || shields_.empty()) return false;
    if (held_.empty()) {
        held_since_ = now;
        if (longest_limit().count() == 0) return false;
        held_.push_back(plan);
        return true;
    }
    // A later request can only hurry, so of those the shortest is enough.
    if (held_.size() == 1)
        held_.push_back(plan);
    else if (length_of(plan) < length_of(held_.back()))
        held_.back() = plan;
    return true;
}

std::optional<Shields::Clock::time_point> Shields::until() const {
    if (held_.empty()) return std::nullopt;
    return held_since_ + longest_limit();
}

std::vector<StopPlan> Shields::take_due(Clock::time_point now) {
    if (held_.empty() || (!shields_.empty() && now < *until())) return {};
    return std::exchange(held_, {});
}

}  // namespace cancelable
