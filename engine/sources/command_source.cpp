#include "engine/sources/command_source.h"

#include <utility>

namespace cancelable {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeLimit{10'000};

// However many operations have conditions, the machine has other things to do.
constexpr std::size_t kMostAtOnce = 8;

// What a shell says of a command that it cannot find or execute is worth a line.
constexpr std::size_t kKept = 200;
constexpr int kCannotExecute = 126;
constexpr int kNotFound = 127;

class CommandSource final : public CancelationSource {
public:
    CommandSource(Loop& loop, ConditionRoom& room, Condition condition)
        : room_(room), condition_(std::move(condition)), timer_(loop, [this] { room_.enter(check_); }) {}

    ~CommandSource() override {
        // What waits is forgotten before the room is given to the next.
        check_.reset();
        end_check();
    }

    void start(Listener listener) override {
        listener_ = std::move(listener);
        room_.enter(check_);
    }

private:
    void check() {
        is_checking_ = true;
        SideRequest request;
        request.command = {"/bin/sh", "-c", condition_.command};
        request.name = "condition of " + condition_.whose;
        request.environment = condition_.environment;
        request.cwd = condition_.cwd;
        request.time_limit = kTimeLimit;
        request.capture = kKept;
        running_ =
            room_.commands().start(std::move(request), [this](const SideOutcome& outcome) { take(outcome); });
    }

    void end_check() {
        if (std::exchange(is_checking_, false)) room_.leave();
    }

    void take(const SideOutcome& outcome) {
        end_check();
        timer_.start(condition_.every);
        note_trouble(outcome);
        const bool holds = outcome.succeeded();
        if (holds == std::exchange(holds_, holds)) return;
        const Listener listener = listener_;
        if (!holds) return listener(std::nullopt);
        listener(Firing{CancelationReason::condition, "condition '" + condition_.command + "' holds"});
    }

    void note_trouble(const SideOutcome& outcome) {
        const bool is_shells = outcome.kind == SideOutcome::Kind::exited && !outcome.exit.by_signal &&
                               (outcome.exit.value == kNotFound || outcome.exit.value == kCannotExecute);
        std::string trouble;
        if (outcome.kind != SideOutcome::Kind::exited || is_shells) trouble = outcome.clause(kTimeLimit);
        if (is_shells && !outcome.output.empty())
            trouble += " (" + outcome.output.substr(0, outcome.output.find('\n')) + ")";
        if (trouble != trouble_ && !trouble.empty())
            room_.warn(condition_.whose + ": the condition '" + condition_.command + "' " + trouble);
        trouble_ = std::move(trouble);
    }

    ConditionRoom& room_;
    Condition condition_;
    Timer timer_;
    bool is_checking_ = false;
    bool holds_ = false;
    std::string trouble_;
    Listener listener_;
    SideCommands::Handle running_;
    std::shared_ptr<std::function<void()>> check_ =
        std::make_shared<std::function<void()>>([this] { check(); });
};

}  // namespace

void ConditionRoom::enter(const std::shared_ptr<std::function<void()>>& check) {
    if (is_closed_) return;
    if (running_ >= kMostAtOnce) {
        waiting_.push_back(check);
        return;
    }
    ++running_;
    (*check)();
}

void ConditionRoom::leave() {
    --running_;
    while (!waiting_.empty() && running_ < kMostAtOnce) {
        const auto next = waiting_.front().lock();
        waiting_.pop_front();
        if (next) enter(next);
    }
}

SourcePtr command_source(Loop& loop, ConditionRoom& room, Condition condition) {
    return std::make_unique<CommandSource>(loop, room, std::move(condition));
}

}  // namespace cancelable
