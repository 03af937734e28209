#pragma once

#include <chrono>
#include <vector>

namespace cancelable {

// One polite step: this signal to every process of the tree, then so long to go.
struct StopStep {
    int signal = 0;
    std::chrono::milliseconds wait{0};
    friend bool operator==(const StopStep&, const StopStep&) = default;
};

// How a tree is ended: the steps in order, then the hard way, which needs no step since it always comes last.
using StopPlan = std::vector<StopStep>;

}  // namespace cancelable
