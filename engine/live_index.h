#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/operation.h"
#include "engine/selector.h"
#include "engine/statistics.h"
#include "engine/token.h"

namespace cancelable {

// The live operations, found by id, by status and by parent without looking at the others. Not thread-safe.
class LiveIndex {
public:
    struct Entry {
        Snapshot snapshot;
        CancelationToken token;
    };

    LiveIndex() = default;
    LiveIndex(const LiveIndex&) = delete;
    LiveIndex& operator=(const LiveIndex&) = delete;

    // The id must not be in it yet.
    void insert(Snapshot snapshot, const CancelationToken& token);

    // The operation must be in it, and the new snapshot be of a live status.
    void replace(Snapshot snapshot);

    // What was removed, so that the caller can let go of it where it holds no lock.
    std::optional<Entry> take(OperationId id);

    const Entry* find(OperationId id) const;

    // Calls `each` with every entry that `selector` could pick, by the narrowest index that serves: ids,
    // parent, status, or else all. In no certain order. The caller still asks the selector itself.
    template <class Each>
    void candidates(const Selector& selector, Each&& each) const;

    std::size_t size() const noexcept { return nodes_.size(); }
    const StatusCounts& counts() const noexcept { return counts_; }

private:
    // Each node is in the map and in two rings: of those with its status, and of those with its parent.
    struct Node;
    struct Hook {
        Node* previous = nullptr;
        Node* next = nullptr;
    };
    struct Node {
        Entry entry;
        Hook by_status;
        Hook by_parent;
    };
    using Head = Node*;

    template <Hook Node::* hook>
    static void attach(Head& head, Node& node) noexcept;
    template <Hook Node::* hook>
    static void detach(Head& head, Node& node) noexcept;
    template <Hook Node::* hook, class Each>
    static void walk(Head head, Each& each);

    static constexpr std::size_t kLiveStatuses = static_cast<std::size_t>(Status::completed);

    std::map<OperationId, Node> nodes_;
    std::array<Head, kLiveStatuses> status_heads_{};
    StatusCounts counts_{};
    std::unordered_map<OperationId, Head> parent_heads_;  // no entry for parent 0, which is none
};

template <LiveIndex::Hook LiveIndex::Node::* hook, class Each>
void LiveIndex::walk(Head head, Each& each) {
    for (const Node* node = head; node != nullptr; node = (node->*hook).next)
        each(node->entry);
}

template <class Each>
void LiveIndex::candidates(const Selector& selector, Each&& each) const {
    if (!selector.ids.empty() && selector.globs.empty()) {
        for (const OperationId id : selector.ids)
            if (const Entry* entry = find(id)) each(*entry);
    } else if (selector.parent.value_or(0) != 0) {
        const auto head = parent_heads_.find(*selector.parent);
        if (head != parent_heads_.end()) walk<&Node::by_parent>(head->second, each);
    } else if (!selector.statuses.empty()) {
        for (const Status status : selector.statuses)
            if (!is_ended(status))
                walk<&Node::by_status>(status_heads_[static_cast<std::size_t>(status)], each);
    } else {
        for (const auto& [id, node] : nodes_)
            each(node.entry);
    }
}

}  // namespace cancelable
