#include "engine/sources/usage_source.h"

#include <optional>
#include <utility>

#include "engine/sources/threshold.h"
#include "engine/sources/wording.h"

namespace cancelable {
namespace {

using Clock = Sampling::Clock;

// Feeds a threshold, and tells when it is passed one way or the other.
class ThresholdSource : public CancelationSource {
public:
    explicit ThresholdSource(const SourceExpression& expression)
        : kind_(expression.kind),
          is_below_(expression.is_below),
          hold_(expression.duration),
          bound_(expression.kind == SourceKind::rss ? static_cast<double>(expression.size)
                                                    : expression.number),
          threshold_(bound_, is_below_, hold_) {}

protected:
    void begin(Listener listener) { listener_ = std::move(listener); }
    SourceKind kind() const noexcept { return kind_; }

    void update(Clock::time_point at, double value) {
        const bool holds = threshold_.update(at, value);
        if (holds == holds_) return;
        holds_ = holds;
        const Listener listener = listener_;
        if (!holds) return listener(std::nullopt);
        listener(Firing{CancelationReason::resource, message(value)});
    }

    void begin_anew() {
        threshold_ = Threshold(bound_, is_below_, hold_);
        if (!std::exchange(holds_, false)) return;
        const Listener listener = listener_;
        listener(std::nullopt);
    }

private:
    std::string message(double value) const {
        const auto percent = [](double number) { return spoken_number(number) + " %"; };
        const auto bytes = [](double number) { return spoken_size(static_cast<std::uint64_t>(number)); };
        switch (kind_) {
            case SourceKind::rss:
                return beyond("memory", bytes(value), bytes(bound_), is_below_, hold_);
            case SourceKind::cpu:
                return beyond("processor", percent(value), percent(bound_), is_below_, hold_);
            case SourceKind::processes:
                return beyond("processes", spoken_number(value), spoken_number(bound_), is_below_, hold_);
            case SourceKind::host_memory:
                return beyond("the machine's memory", percent(value), percent(bound_), is_below_, hold_);
            default:
                return beyond("the machine's load", spoken_number(value), spoken_number(bound_), is_below_,
                              hold_);
        }
    }

    SourceKind kind_;
    bool is_below_;
    std::chrono::milliseconds hold_;
    double bound_;
    Threshold threshold_;
    bool holds_ = false;
    Listener listener_;
};

class TreeUsageSource final : public ThresholdSource {
public:
    TreeUsageSource(Sampling& sampling, pid_t shim, const SourceExpression& expression)
        : ThresholdSource(expression), sampling_(sampling), shim_(shim) {}

    void start(Listener listener) override {
        begin(std::move(listener));
        started_ = Clock::now();
        subscription_ = sampling_.of_tree(
            shim_, [this](Clock::time_point at, const TreeUsage& usage) { take(at, usage); });
    }

    // What is held still keeps its memory and its processes, and uses no processor.
    void set_paused(bool paused) override {
        if (kind() != SourceKind::cpu) return;
        paused_ = paused;
        before_.reset();
        begin_anew();
    }

private:
    void take(Clock::time_point at, const TreeUsage& usage) {
        // A look that was begun before saw what the same shim had guarded then.
        if (paused_ || at < started_) return;
        if (kind() == SourceKind::rss) return update(at, static_cast<double>(usage.rss_bytes));
        if (kind() == SourceKind::processes) return update(at, static_cast<double>(usage.processes));
        // Of the time between two looks. What died unreaped takes its time with it: then less than nothing
        // was used, which is nothing.
        const auto before = std::exchange(before_, Look{at, usage.cpu});
        if (!before || at <= before->at) return;
        const std::chrono::duration<double> used = usage.cpu - before->cpu;
        const std::chrono::duration<double> passed = at - before->at;
        update(at, std::max(0.0, 100 * used.count() / passed.count()));
    }

    struct Look {
        Clock::time_point at;
        std::chrono::microseconds cpu;
    };
    Sampling& sampling_;
    pid_t shim_;
    Clock::time_point started_;
    std::optional<Look> before_;
    bool paused_ = false;
    Sampling::Subscription subscription_;
};

class HostUsageSource final : public ThresholdSource {
public:
    HostUsageSource(Sampling& sampling, const SourceExpression& expression)
        : ThresholdSource(expression), sampling_(sampling) {}

    void start(Listener listener) override {
        begin(std::move(listener));
        subscription_ = sampling_.of_host([this](Clock::time_point at, const HostUsage& usage) {
            update(at, kind() == SourceKind::host_memory ? usage.memory_percent : usage.load);
        });
    }

private:
    Sampling& sampling_;
    Sampling::Subscription subscription_;
};

}  // namespace

SourcePtr tree_usage_source(Sampling& sampling, pid_t shim, const SourceExpression& expression) {
    return std::make_unique<TreeUsageSource>(sampling, shim, expression);
}

SourcePtr host_usage_source(Sampling& sampling, const SourceExpression& expression) {
    return std::make_unique<HostUsageSource>(sampling, expression);
}

std::string beyond(const std::string& what, const std::string& value, const std::string& bound, bool is_below,
                   std::chrono::milliseconds hold) {
    return what + " " + value + (is_below ? " under " : " over ") + bound +
           (hold.count() > 0 ? " for " + spoken(hold) : "");
}

}  // namespace cancelable
