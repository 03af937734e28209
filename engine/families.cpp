#include "engine/families.h"

#include <algorithm>
#include <string>
#include <utility>

namespace cancelable {
namespace {

using std::chrono::steady_clock;

bool takes_children_along(const Operation& parent) {
    return parent.cancelation || parent.spec->orphans == Orphans::kill;
}

std::string message(const Operation& parent, const char* what) {
    return "its parent, operation " + std::to_string(parent.id()) + ", " + what;
}

// Of a parent that has ended, in the words that its children would have heard at the time.
const char* what_happened(const Operation& parent) {
    return parent.cancelation ? "was cancelled" : "has ended";
}

}  // namespace

Families::Families(Loop& loop, Registry& registry, Actions actions)
    : registry_(registry), actions_(std::move(actions)), turn_(loop, [this] { look(); }) {}

void Families::joined(const Operation& operation) {
    const Snapshot parent = registry_.get_operation(operation.spec->parent);
    if (!parent || !takes_children_along(*parent)) return;
    // A cancelation that is going on reaches it by the link of its token.
    if (is_ended(parent->status) || ending_.contains(parent->id()))
        actions_.cancel(operation.id(), message(*parent, what_happened(*parent)));
}

bool Families::hold(const Operation& operation, const ShimReport& report) {
    const bool is_cancelled = report.cancelation || operation.cancelation;
    if (report.has_exited && !is_cancelled && operation.spec->orphans == Orphans::kill &&
        ending_.insert(operation.id()).second)
        take_children_along(operation, "has ended");
    if (!report.over) return false;
    if (!is_cancelled && operation.spec->orphans == Orphans::leave) return false;
    if (registry_.children(operation.id()).empty()) return false;
    held_.insert_or_assign(operation.id(), Held{report, steady_clock::now()});
    return true;
}

void Families::settled(const Operation& operation) {
    if (is_ended(operation.status)) {
        held_.erase(operation.id());
        ending_.erase(operation.id());
        // Lost with its shim, or found as a record: nobody has asked its children yet.
        if (takes_children_along(operation)) take_children_along(operation, what_happened(operation));
    }
    if (!held_.contains(operation.spec->parent)) return;
    due_.insert(operation.spec->parent);
    turn_.start(std::chrono::milliseconds(0));
}

void Families::take_children_along(const Operation& parent, const char* what) {
    for (const Snapshot& child : registry_.children(parent.id()))
        if (child->status != Status::cancelling) actions_.cancel(child->id(), message(parent, what));
}

// The youngest first, so that a whole line of held ones ends in one turn.
void Families::look() {
    while (!due_.empty()) {
        const OperationId id = *due_.rbegin();
        due_.erase(id);
        look_at(id);
    }
}

void Families::look_at(OperationId id) {
    const auto held = held_.find(id);
    if (held == held_.end()) return;
    const std::vector<Snapshot> children = registry_.children(id);
    if (children.empty()) {
        ShimReport report = std::move(held->second.report);
        const auto waited =
            std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - held->second.since);
        held_.erase(held);
        report.over_at = wall_now();
        report.duration += waited;
        actions_.finish(id, report);
        return;
    }
    std::vector<pid_t> survivors;
    for (const Snapshot& child : children) {
        if (!child->cancelation || child->cancelation->survivors.empty()) return;
        survivors.insert(survivors.end(), child->cancelation->survivors.begin(),
                         child->cancelation->survivors.end());
    }
    actions_.stuck(id, std::move(survivors));
}

}  // namespace cancelable
