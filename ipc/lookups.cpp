#include "ipc/lookups.h"

namespace cancelable::ipc {

void Lookups::drop(const Connection& connection) noexcept {
    for (auto next = under_way_.begin(); next != under_way_.end();) {
        const auto entry = next++;
        if (entry->second.first != &connection) continue;
        // Taken out first: setting the token settles the work.
        CancelationToken token = entry->second.second;
        under_way_.erase(entry);
        token.cancel(CancelationReason::disconnect);
    }
}

}  // namespace cancelable::ipc
