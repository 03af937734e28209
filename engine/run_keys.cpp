#include "engine/run_keys.h"

#include <algorithm>

namespace cancelable {

void RunKeys::remember(const std::string& key, OperationId id) {
    if (key.empty()) return;
    ids_.insert_or_assign(key, id);
    if (ids_.size() < clean_at_) return;
    std::erase_if(ids_, [this](const auto& entry) { return !is_known_(entry.second); });
    clean_at_ = std::max<std::size_t>(1024, 2 * ids_.size());
}

std::optional<OperationId> RunKeys::find(const std::string& key) const {
    const auto entry = key.empty() ? ids_.end() : ids_.find(key);
    if (entry == ids_.end()) return std::nullopt;
    return entry->second;
}

}  // namespace cancelable
