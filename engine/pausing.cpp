#include "engine/pausing.h"

#include <algorithm>
#include <utility>

namespace cancelable {
namespace {

bool can_be_asked(const Operation& operation) {
    return operation.status < Status::cancelling;
}

}  // namespace

std::vector<OperationId> Pausing::ask(const Selector& selector, bool pause, Done done) {
    Request request;
    const auto add = [&request](const std::vector<Snapshot>& found) {
        for (const Snapshot& operation : found)
            if (can_be_asked(*operation) && request.missing.insert(operation->id()).second)
                request.ids.push_back(operation->id());
    };
    add(registry_.list(selector));
    for (std::size_t i = 0; i < request.ids.size(); ++i)
        add(registry_.children(request.ids[i]));
    if (request.ids.empty()) return {};

    const std::vector<OperationId> ids = request.ids;
    request.done = std::move(done);
    requests_.emplace(++last_number_, std::move(request));
    for (const OperationId id : ids)
        ask_one(id, pause);
    return ids;
}

void Pausing::ask_one(OperationId id, bool pause) {
    asked_[id] = last_number_;
    if (pause)
        paused_.insert(id);
    else
        paused_.erase(id);
    send_(id, {.kind = pause ? ShimCommandKind::pause : ShimCommandKind::resume, .number = last_number_});
}

void Pausing::joined(const Operation& operation) {
    if (!paused_.contains(operation.spec->parent)) return;
    ++last_number_;
    ask_one(operation.id(), true);
}

void Pausing::reported(OperationId id, const ShimReport& report) {
    const auto asked = asked_.find(id);
    const bool is_last = asked == asked_.end() || report.pause_answered >= asked->second;
    if (is_last && asked != asked_.end()) asked_.erase(asked);
    // Adopted paused, or given up.
    if (is_last && report.paused) paused_.insert(id);
    if (is_last && !report.paused) paused_.erase(id);
    answered(id, report.pause_answered);
    if (report.cancelation || report.over) left(id);
}

void Pausing::left(OperationId id) {
    paused_.erase(id);
    asked_.erase(id);
    answered(id, last_number_);
}

void Pausing::answered(OperationId id, std::uint64_t number) {
    for (auto next = requests_.begin(); next != requests_.end() && next->first <= number;) {
        Request& request = next->second;
        request.missing.erase(id);
        if (!request.missing.empty()) {
            ++next;
            continue;
        }
        // Taken out first: it may ask for more.
        const Request complete = std::move(request);
        next = requests_.erase(next);
        if (complete.done) complete.done(complete.ids);
    }
}

}  // namespace cancelable
