#include "engine/live_index.h"

#include <utility>

namespace cancelable {

template <LiveIndex::Hook LiveIndex::Node::* hook>
void LiveIndex::attach(Head& head, Node& node) noexcept {
    (node.*hook) = {nullptr, head.first};
    if (head.first != nullptr) (head.first->*hook).previous = &node;
    head.first = &node;
    ++head.count;
}

template <LiveIndex::Hook LiveIndex::Node::* hook>
void LiveIndex::detach(Head& head, Node& node) noexcept {
    const Hook& hung = node.*hook;
    (hung.previous != nullptr ? (hung.previous->*hook).next : head.first) = hung.next;
    if (hung.next != nullptr) (hung.next->*hook).previous = hung.previous;
    --head.count;
}

StatusCounts LiveIndex::counts() const noexcept {
    StatusCounts counts{};
    for (std::size_t status = 0; status < kLiveStatuses; ++status)
        counts[status] = status_heads_[status].count;
    return counts;
}

void LiveIndex::insert(Snapshot snapshot, const CancelationToken& token) {
    const OperationId id = snapshot->id();
    const OperationId parent = snapshot->spec->parent;
    const auto status = static_cast<std::size_t>(snapshot->status);
    // Ids grow, so the new one nearly always goes to the end.
    Node& node =
        nodes_.try_emplace(nodes_.end(), id, Entry{std::move(snapshot), token}, Hook{}, Hook{})->second;
    attach<&Node::by_status>(status_heads_[status], node);
    if (parent != 0) attach<&Node::by_parent>(parent_heads_[parent], node);
}

void LiveIndex::replace(Snapshot snapshot) {
    Node& node = nodes_.at(snapshot->id());
    const auto from = static_cast<std::size_t>(node.entry.snapshot->status);
    const auto to = static_cast<std::size_t>(snapshot->status);
    if (from != to) {
        detach<&Node::by_status>(status_heads_[from], node);
        attach<&Node::by_status>(status_heads_[to], node);
    }
    node.entry.snapshot = std::move(snapshot);
}

std::optional<LiveIndex::Entry> LiveIndex::take(OperationId id) {
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) return std::nullopt;
    Node& node = found->second;
    const auto status = static_cast<std::size_t>(node.entry.snapshot->status);
    detach<&Node::by_status>(status_heads_[status], node);
    if (const OperationId parent = node.entry.snapshot->spec->parent; parent != 0) {
        const auto head = parent_heads_.find(parent);
        detach<&Node::by_parent>(head->second, node);
        if (head->second.count == 0) parent_heads_.erase(head);
    }
    std::optional<Entry> taken(std::move(node.entry));
    nodes_.erase(found);
    return taken;
}

const LiveIndex::Entry* LiveIndex::find(OperationId id) const {
    const auto found = nodes_.find(id);
    return found != nodes_.end() ? &found->second.entry : nullptr;
}

}  // namespace cancelable
