#include "ipc/gathering.h"

#include <utility>

namespace cancelable::ipc {

Gathering::Gathering(Operations& operations, Done done) : operations_(operations), done_(std::move(done)) {}

Gathering::~Gathering() {
    for (const std::uint64_t callback : callbacks_)
        operations_.forget(callback);
}

void Gathering::start(Loop& loop, const std::vector<OperationId>& ids, bool any,
                      std::optional<std::chrono::milliseconds> timeout) {
    any_ = any;
    missing_.insert(ids.begin(), ids.end());
    // Callbacks that come at once only record: with `any`, all that are settled now are to be in the outcome.
    starting_ = true;
    for (const OperationId id : std::vector(missing_.begin(), missing_.end()))
        callbacks_.push_back(
            operations_.when_settled(id, [this, id](const Snapshot& snapshot) { settled(id, snapshot); }));
    starting_ = false;
    finish_if_enough();
    if (is_done() || !timeout) return;
    timer_.emplace(loop, [this] { finish(true); });
    timer_->start(*timeout);
}

void Gathering::settled(OperationId id, const Snapshot& snapshot) {
    missing_.erase(id);
    if (snapshot) settled_.emplace(id, snapshot);
    if (!starting_) finish_if_enough();
}

void Gathering::finish_if_enough() {
    if (missing_.empty() || (any_ && !settled_.empty())) finish(false);
}

void Gathering::finish(bool timed_out) {
    const Done done = std::exchange(done_, nullptr);
    if (!done) return;
    if (timer_) timer_->stop();
    Outcome outcome{{}, timed_out};
    for (auto& [id, snapshot] : settled_)
        outcome.settled.push_back(std::move(snapshot));
    done(std::move(outcome));
}

}  // namespace cancelable::ipc
