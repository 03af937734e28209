#include "engine/ended_ring.h"

#include <utility>

namespace cancelable {

Snapshot EndedRing::insert(Snapshot ended) {
    if (capacity_ == 0) return ended;
    ++counts_[static_cast<std::size_t>(ended->status)];
    const OperationId id = ended->id();
    by_id_[id] = order_.insert(order_.end(), std::move(ended));
    return order_.size() > capacity_ ? take(order_.begin()) : nullptr;
}

Snapshot EndedRing::take(Order::iterator place) {
    Snapshot taken = std::move(*place);
    --counts_[static_cast<std::size_t>(taken->status)];
    by_id_.erase(taken->id());
    order_.erase(place);
    return taken;
}

Snapshot EndedRing::take(OperationId id) {
    const auto found = by_id_.find(id);
    return found != by_id_.end() ? take(found->second) : nullptr;
}

Snapshot EndedRing::find(OperationId id) const {
    const auto found = by_id_.find(id);
    return found != by_id_.end() ? *found->second : nullptr;
}

std::vector<Snapshot> EndedRing::take_if(const std::function<bool(const Operation&)>& goes) {
    std::vector<Snapshot> taken;
    for (auto place = order_.begin(); place != order_.end();) {
        const auto next = std::next(place);
        if (goes(**place)) taken.push_back(take(place));
        place = next;
    }
    return taken;
}

}  // namespace cancelable
