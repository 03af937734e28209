#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
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

    // Where an index answers the better part of `selector` (its ids, its parent, its statuses): calls `each`
    // with every entry that it finds, in no certain order, and returns true. The caller still asks the
    // selector itself.
    template <class Each>
    bool narrow(const Selector& selector, Each&& each) const;

    // Calls `each` with the next `most` entries from `from` on, in order of ids. Returns where to go on, 0 at
    // the end.
    template <class Each>
    OperationId scan(OperationId from, std::size_t most, Each&& each) const;

    std::size_t size() const noexcept { return nodes_.size(); }
    StatusCounts counts() const noexcept;

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
    struct Head {
        Node* first = nullptr;
        std::size_t count = 0;
    };

    template <Hook Node::* hook>
    static void attach(Head& head, Node& node) noexcept;
    template <Hook Node::* hook>
    static void detach(Head& head, Node& node) noexcept;
    template <Hook Node::* hook, class Each>
    static void walk(const Head& head, Each& each);

    static constexpr std::size_t kLiveStatuses = static_cast<std::size_t>(Status::completed);

    std::map<OperationId, Node> nodes_;
    std::array<Head, kLiveStatuses> status_heads_{};
    std::unordered_map<OperationId, Head> parent_heads_;  // no entry for parent 0, which is none
};

template <LiveIndex::Hook LiveIndex::Node::* hook, class Each>
void LiveIndex::walk(const Head& head, Each& each) {
    for (const Node* node = head.first; node != nullptr; node = (node->*hook).next)
        each(node->entry);
}

template <class Each>
bool LiveIndex::narrow(const Selector& selector, Each&& each) const {
    if (!selector.ids.empty() && selector.globs.empty()) {
        for (const OperationId id : selector.ids)
            if (const Entry* entry = find(id)) each(*entry);
        return true;
    }
    if (selector.parent.value_or(0) != 0) {
        const auto head = parent_heads_.find(*selector.parent);
        if (head != parent_heads_.end()) walk<&Node::by_parent>(head->second, each);
        return true;
    }
    if (selector.statuses.empty()) return false;
    std::array<bool, kLiveStatuses> wanted{};
    std::size_t count = 0;
    for (const Status status : selector.statuses) {
        if (is_ended(status)) continue;
        const auto index = static_cast<std::size_t>(status);
        if (!std::exchange(wanted[index], true)) count += status_heads_[index].count;
    }
    // A scan in order costs less than following a ring through memory, so the ring must be much the shorter
    // one.
    if (count > nodes_.size() / 4) return false;
    for (std::size_t index = 0; index < kLiveStatuses; ++index)
        if (wanted[index]) walk<&Node::by_status>(status_heads_[index], each);
    return true;
}

template <class Each>
OperationId LiveIndex::scan(OperationId from, std::size_t most, Each&& each) const {
    auto next = nodes_.lower_bound(from);
    for (; next != nodes_.end() && most > 0; ++next, --most)
        each(next->second.entry);
    return next != nodes_.end() ? next->first : 0;
}

}  // namespace cancelable
