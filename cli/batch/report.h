#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "cli/batch/halt.h"

namespace cancelable::cli {

// What the progress of a batch is drawn from.
struct BatchProgress {
    Tally tally;
    std::size_t running = 0;
    std::optional<std::size_t> total;  // of operations, as far as it can be told
    bool total_is_estimate = false;
    double rate = 0;  // a second
    std::optional<std::chrono::seconds> remaining;
};

// One line for a terminal so wide.
std::string batch_line(const BatchProgress& progress, std::size_t columns);

// What to say at the end.
std::string batch_summary(const Tally& tally, std::chrono::microseconds duration);

}  // namespace cancelable::cli
