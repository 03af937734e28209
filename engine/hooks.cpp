#include "engine/hooks.h"

#include <algorithm>
#include <utility>

#include "engine/hook_file.h"

namespace cancelable {
namespace {

// However many operations end at once, the machine has other things to do.
constexpr std::size_t kMostAtOnce = 8;

constexpr std::size_t kMostFailed = 1000;

}  // namespace

void Hooks::changed(const Transition& step, bool adopting) {
    const Snapshot& before = step.before;
    const Snapshot& after = step.after;
    if (!before) return;
    const auto tell = [&](HookEvent event) {
        if (auto call = hook_call(event, *after)) enqueue(std::move(*call));
    };
    if (!adopting && before->status == Status::pending && after->status == Status::running)
        tell(HookEvent::start);
    if (!adopting && !before->cancelation && after->cancelation) tell(HookEvent::cancel);
    if (is_ended(before->status) || !is_ended(after->status)) return;
    if (resumed_.erase(after->id()) != 0) return;
    auto call = hook_call(HookEvent::end, *after);
    if (!call) return;
    if (const auto written = write_owed_hook(directory_, *call); !written && warn_)
        warn_(written.error().sentence());
    enqueue(std::move(*call));
}

void Hooks::resume() {
    for (HookCall& call : find_owed_hooks(directory_, warn_)) {
        const OperationId id = call.id;
        const bool is_known =
            running_.contains(id) || std::ranges::find(waiting_, id, &HookCall::id) != waiting_.end();
        // Its end was seen again just now.
        if (is_known) continue;
        const Snapshot operation = registry_.get_operation(id);
        if (!operation || !is_ended(operation->status)) resumed_.insert(id);
        enqueue(std::move(call));
    }
}

void Hooks::enqueue(HookCall call) {
    waiting_.push_back(std::move(call));
    start_next();
}

void Hooks::start_next() {
    for (auto next = waiting_.begin(); next != waiting_.end() && running_.size() < kMostAtOnce;) {
        const OperationId id = next->id;
        if (running_.contains(id)) {
            ++next;
            continue;
        }
        Running& running = running_[id];
        running.call = std::move(*next);
        next = waiting_.erase(next);
        running.handle = commands_.start(hook_request(running.call, own_environment()),
                                         [this, id](const SideOutcome& outcome) { done(id, outcome); });
    }
}

void Hooks::done(OperationId id, const SideOutcome& outcome) {
    const auto entry = running_.find(id);
    const Running finished = std::move(entry->second);
    running_.erase(entry);
    const HookCall& call = finished.call;
    if (call.event == HookEvent::end) forget_owed_hook(directory_, id);

    HookFailure failure{.event = call.event, .at = wall_now()};
    if (outcome.kind == SideOutcome::Kind::exited)
        failure.exit = outcome.exit;
    else
        failure.error = outcome.clause(call.time_limit);
    std::vector<EventField> fields{{"hook", std::string(to_string(call.event))}};
    if (failure.exit) fields.push_back({"exit", *failure.exit});
    if (!failure.error.empty()) fields.push_back({"error", failure.error});
    if (const Snapshot operation = registry_.get_operation(id))
        events_.append(EventKind::hook, operation, std::move(fields));

    if (!outcome.succeeded()) {
        std::string sentence = "operation " + std::to_string(id) + ": its " +
                               std::string(to_string(call.event)) + " hook " +
                               outcome.clause(call.time_limit);
        if (!outcome.output.empty())
            sentence += " (" + outcome.output.substr(0, outcome.output.find('\n')) + ")";
        if (warn_) warn_(sentence);
        keep_failure(id, std::move(failure));
    }
    start_next();
}

void Hooks::keep_failure(OperationId id, HookFailure failure) {
    auto [entry, is_new] = failures_.try_emplace(id);
    entry->second.push_back(std::move(failure));
    if (!is_new) return;
    failed_.push_back(id);
    if (failed_.size() <= kMostFailed) return;
    failures_.erase(failed_.front());
    failed_.pop_front();
}

std::vector<HookFailure> Hooks::failures(OperationId id) const {
    const auto entry = failures_.find(id);
    return entry == failures_.end() ? std::vector<HookFailure>() : entry->second;
}

}  // namespace cancelable
