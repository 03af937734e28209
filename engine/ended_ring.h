#pragma once

#include <functional>
#include <list>
#include <unordered_map>
#include <vector>

#include "engine/operation.h"
#include "engine/statistics.h"

namespace cancelable {

// The last operations that ended, in the order in which they did: a new one drives out the oldest. Not
// thread-safe.
class EndedRing {
public:
    explicit EndedRing(std::size_t capacity) : capacity_(capacity) {}

    // What had to go for it; with a capacity of 0 the operation itself.
    Snapshot insert(Snapshot ended);
    Snapshot take(OperationId id);
    Snapshot find(OperationId id) const;

    // Takes out all that `goes` says yes to.
    std::vector<Snapshot> take_if(const std::function<bool(const Operation&)>& goes);

    const std::list<Snapshot>& in_order() const noexcept { return order_; }
    const StatusCounts& counts() const noexcept { return counts_; }

private:
    using Order = std::list<Snapshot>;
    Snapshot take(Order::iterator place);

    std::size_t capacity_;
    Order order_;  // the oldest first
    std::unordered_map<OperationId, Order::iterator> by_id_;
    StatusCounts counts_{};
};

}  // namespace cancelable
