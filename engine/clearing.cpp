#include "engine/clearing.h"

#include <algorithm>

#include "engine/shim/acceptance.h"

namespace cancelable {
namespace {

// A client goes on for a quarter of a minute.
constexpr std::chrono::seconds kAfter{60};

}  // namespace

Clearing::Clearing(Loop& loop, int directory) : directory_(directory), timer_(loop, [this] { clear(); }) {}

void Clearing::later(OperationId id) {
    due_.push_back({Clock::now() + kAfter, id});
    if (!timer_.is_active()) timer_.start(kAfter);
}

void Clearing::clear() {
    for (; !due_.empty() && due_.front().at <= Clock::now(); due_.pop_front())
        remove_traces(directory_, due_.front().id);
    if (due_.empty()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.front().at - Clock::now());
    timer_.start(std::max(left, std::chrono::milliseconds(1)));
}

}  // namespace cancelable
