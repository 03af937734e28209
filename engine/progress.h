#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/operation.h"
#include "engine/process/error.h"

namespace cancelable {

// How far something is, as people write it: 40%, 4/10 or 0.4. From 0 to 1. Usage errors are one sentence.
Result<double> parse_fraction(std::string_view text);

inline constexpr std::size_t kProgressTextLimit = 1024;  // bytes

// Thins out reports of progress: each operation's are published at most ten times a second, the latest of
// them always comes through, and the first comes at once.
//
// Knows no clock and no loop: the caller says what time it is, and calls publish_due() when due() has come.
class ProgressCoalescer {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::milliseconds kInterval{100};

    using Publish = std::function<void(OperationId, Progress)>;
    explicit ProgressCoalescer(Publish publish) : publish_(std::move(publish)) {}

    // Publishes it now, or keeps it in place of an earlier one that has not been published yet.
    void report(OperationId id, Progress progress, Clock::time_point now);

    // Publishes what has been kept for long enough.
    void publish_due(Clock::time_point now);

    // When publish_due() has something to do next.
    std::optional<Clock::time_point> due() const;

    // What is kept for this operation and has not been published yet; null where nothing is.
    const Progress* kept(OperationId id) const;

    // It is over, and will report nothing more.
    void forget(OperationId id) noexcept { reporting_.erase(id); }

private:
    struct Reporting {
        Clock::time_point next;  // when it may be published again
        std::optional<Progress> kept;
    };

    Publish publish_;
    std::map<OperationId, Reporting> reporting_;
};

}  // namespace cancelable
