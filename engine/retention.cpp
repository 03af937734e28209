#include "engine/retention.h"

#include <utility>

namespace cancelable {
namespace {

constexpr std::chrono::minutes kInterval{10};

}  // namespace

Retention::Retention(Loop& loop, Store& store, KeptHistory kept, std::function<void(const std::string&)> log)
    : store_(store), kept_(kept), log_(std::move(log)), timer_(loop, [this] { prune(); }) {
    if (kept_.operations != 0 || kept_.age.count() != 0) prune();
}

void Retention::prune() {
    const auto pruned = [log = log_](const Result<PruneResult>& result) {
        if (log && result && result->operations > 0)
            log(std::to_string(result->operations) + " operations pruned from the history, with " +
                std::to_string(result->logs) + " logs");
    };
    if (kept_.operations != 0) {
        PruneRequest request;
        request.keep = kept_.operations;
        store_.prune(request, pruned);
    }
    if (kept_.age.count() != 0) {
        PruneRequest request;
        request.ended_before = wall_now() - kept_.age;
        store_.prune(request, pruned);
    }
    timer_.start(kInterval);
}

}  // namespace cancelable
