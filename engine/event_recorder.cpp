#include "engine/event_recorder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace cancelable {
namespace {

using Fields = std::vector<EventField>;

std::vector<SignalNumber> as_signals(const std::vector<int>& numbers) {
    std::vector<SignalNumber> signals;
    signals.reserve(numbers.size());
    for (const int number : numbers)
        signals.push_back({number});
    return signals;
}

void add_reason(Fields& fields, const Cancelation& cancelation) {
    fields.push_back({"reason", std::string(to_string(cancelation.reason))});
    if (!cancelation.message.empty()) fields.push_back({"message", cancelation.message});
    fields.push_back({"by", cancelation.by});
}

bool has_survivors(const Snapshot& operation) {
    return operation->cancelation && !operation->cancelation->survivors.empty();
}

// The shim's word is the last one: it may have cancelled on its own before our request reached it.
bool is_news(const Snapshot& before, const Snapshot& after) {
    if (!after->cancelation) return false;
    if (!before->cancelation) return true;
    const Cancelation& said = *before->cancelation;
    const Cancelation& heard = *after->cancelation;
    return said.reason != heard.reason || !(said.by == heard.by);
}

// In whole percents, or with another text: what is finer would only drive other events out of the log.
bool says_more(const Progress* before, const Progress* after) {
    const auto percent = [](const Progress& progress) { return std::floor(progress.fraction * 100 + 1e-9); };
    if (after == nullptr || before == after) return false;
    return before == nullptr || before->text != after->text || percent(*before) != percent(*after);
}

}  // namespace

void EventRecorder::changed(const Transition& step, const ShimReport* report) {
    const Snapshot& before = step.before;
    const Snapshot& after = step.after;
    if (adopting_.contains(after->id())) return;
    if (!before) {
        log_.append(EventKind::accepted, after);
        if (is_ended(after->status)) ended(after, nullptr);
        return;
    }
    if (report != nullptr && is_news(before, after)) shim_cancelled(after);
    if (before->status != after->status && !is_ended(after->status))
        log_.append(EventKind::status, after, {{"from", before->status}, {"to", after->status}});
    if (report != nullptr) tree_signalled(after, report->signals);
    const bool survivors_changed =
        has_survivors(after) &&
        (!before->cancelation || before->cancelation->survivors != after->cancelation->survivors);
    if (survivors_changed)
        log_.append(EventKind::survivors, after, {{"pids", after->cancelation->survivors}});
    if (says_more(before->progress.get(), after->progress.get()))
        log_.append(EventKind::progress, after,
                    {{"fraction", after->progress->fraction}, {"text", after->progress->text}});
    if (after->result && before->result != after->result)
        log_.append(EventKind::result, after, {{"bytes", static_cast<std::int64_t>(after->result->size())}});
    if (is_ended(after->status)) ended(after, before);
}

void EventRecorder::cancel_requested(const Snapshot& operation, const CancelRequest& request,
                                     const StopPlan& plan, bool hurries) {
    Fields fields{{"reason", std::string(to_string(request.reason))}};
    if (!request.message.empty()) fields.push_back({"message", request.message});
    fields.push_back({"by", request.by});
    if (!plan.empty()) {
        fields.push_back({"signal", SignalNumber{plan.front().signal}});
        fields.push_back({"grace", std::chrono::microseconds(plan.front().wait)});
    }
    fields.push_back({"now", plan.empty()});
    fields.push_back({"hurries", hurries});
    log_.append(EventKind::cancel, operation, std::move(fields));
}

void EventRecorder::shim_cancelled(const Snapshot& operation) {
    const Cancelation& cancelation = *operation->cancelation;
    Fields fields;
    add_reason(fields, cancelation);
    if (cancelation.signal != 0) fields.push_back({"signal", SignalNumber{cancelation.signal}});
    fields.push_back({"now", cancelation.signal == 0});
    fields.push_back({"hurries", false});
    log_.append(EventKind::cancel, operation, std::move(fields));
}

void EventRecorder::signalled(const Snapshot& operation, int signal_number, bool tree, const Requester& by) {
    log_.append(EventKind::signal, operation,
                {{"signal", SignalNumber{signal_number}},
                 {"to", std::string(tree ? "tree" : "command")},
                 {"by", by}});
}

void EventRecorder::tree_signalled(const Snapshot& operation, const std::vector<int>& signals) {
    if (signals.empty()) return;
    std::vector<int>& told = told_signals_[operation->id()];
    for (const int number : signals) {
        if (std::ranges::find(told, number) != told.end()) continue;
        told.push_back(number);
        log_.append(EventKind::signal, operation,
                    {{"signal", SignalNumber{number}}, {"to", std::string("tree")}});
    }
}

void EventRecorder::ended(const Snapshot& operation, const Snapshot& before) {
    told_signals_.erase(operation->id());
    Fields fields;
    if (before) fields.push_back({"from", before->status});
    fields.push_back({"to", operation->status});
    if (operation->exit) fields.push_back({"exit", *operation->exit});
    if (operation->duration) fields.push_back({"duration", *operation->duration});
    if (!operation->error.empty()) fields.push_back({"error", operation->error});
    if (operation->cancelation) {
        add_reason(fields, *operation->cancelation);
        fields.push_back({"signals", as_signals(operation->cancelation->signals)});
        fields.push_back({"processes", static_cast<std::int64_t>(operation->cancelation->processes)});
    }
    // Without a step before it, this is the end of one that nobody here has seen alive.
    fields.push_back({"meanwhile", before == nullptr});
    log_.append(EventKind::ended, operation, std::move(fields));
}

void EventRecorder::end_adoption(const Snapshot& operation, const std::vector<int>& signals_so_far) {
    if (!operation || adopting_.erase(operation->id()) == 0) return;
    if (is_ended(operation->status)) {
        ended(operation, nullptr);
        return;
    }
    if (!signals_so_far.empty()) told_signals_[operation->id()] = signals_so_far;
    Fields fields;
    if (operation->pid) fields.push_back({"pid", static_cast<std::int64_t>(*operation->pid)});
    if (operation->cancelation) {
        add_reason(fields, *operation->cancelation);
        fields.push_back({"signals", as_signals(signals_so_far)});
    }
    log_.append(EventKind::adopted, operation, std::move(fields));
    if (has_survivors(operation))
        log_.append(EventKind::survivors, operation, {{"pids", operation->cancelation->survivors}});
}

}  // namespace cancelable
