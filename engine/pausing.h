#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/registry.h"
#include "engine/shim/channel.h"

namespace cancelable {

// Asks shims to pause and to resume, whole families at a time, and hears what came of it. The pausing itself
// is theirs (engine/shim/pause_tree.h), so that it outlives this.
//
// A request is answered once each operation that it was for has done it, has given it up, has been asked for
// the opposite, or is being ended. Loop thread only.
class Pausing {
public:
    using Send = std::function<void(OperationId, const ShimCommand&)>;
    Pausing(Registry& registry, Send send) : registry_(registry), send_(std::move(send)) {}

    // Those picked that are not being ended, and all of their families; parents come before their children,
    // so that none of them starts more. None: nothing was asked, and `done` is dropped.
    using Done = std::function<void(const std::vector<OperationId>&)>;
    std::vector<OperationId> ask(const Selector& selector, bool pause, Done done);

    // A new operation: paused at once where its parent is, or is to be.
    void joined(const Operation& operation);

    void reported(OperationId id, const ShimReport& report);

    // It is being cancelled or has ended: nobody waits for it any more.
    void left(OperationId id);

private:
    struct Request {
        std::vector<OperationId> ids;
        std::set<OperationId> missing;
        Done done;
    };
    void ask_one(OperationId id, bool pause);
    void answered(OperationId id, std::uint64_t number);

    Registry& registry_;
    Send send_;
    std::uint64_t last_number_ = 0;
    std::map<std::uint64_t, Request> requests_;  // by the number that their commands carry
    std::unordered_map<OperationId, std::uint64_t> asked_;
    std::unordered_set<OperationId> paused_;  // or to be
};

}  // namespace cancelable
