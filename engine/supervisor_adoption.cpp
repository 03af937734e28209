// What a supervisor takes over from the one before.
#include <algorithm>
#include <utility>

#include "engine/supervisor_impl.h"

namespace cancelable {
namespace {

// How long a new supervisor waits for the shims of its predecessor to report themselves before it serves
// clients.
constexpr std::chrono::seconds kAdoptionPatience{2};

}  // namespace

// Those that ended in the history, and were not cleared away; and what it knows of those that have nobody
// else to describe them. A history that cannot be asked holds nobody up.
void Supervisor::Impl::ask_history(const std::vector<LeftOperation>& left) {
    if (!store_) return;
    std::vector<OperationId> ids;
    for (const LeftOperation& operation : left)
        ids.push_back(operation.id);
    remembered_.emplace();
    const auto answered = std::make_shared<bool>(false);
    store_->recover(std::move(ids), [this, answered](Unended unended) {
        *answered = true;
        if (remembered_)
            *remembered_ = std::move(unended);
        else
            recovered(unended);
    });
    bool out_of_patience = false;
    Timer patience(loop_, [&] { out_of_patience = true; });
    patience.start(kAdoptionPatience);
    while (!*answered && !out_of_patience && store_->condition().state < Store::Condition::State::failing)
        loop_.run_once(true);
    // Who has lost the connection to an earlier supervisor asks again by the key: what has run does not run
    // twice.
    for (const Snapshot& operation : remembered_->recent) {
        const auto still_there = std::ranges::find(left, operation->id(), &LeftOperation::id);
        if (still_there != left.end() && (still_there->channel || still_there->exit_record)) continue;
        remember(operation);
    }
}

void Supervisor::Impl::remember(const Snapshot& ended) {
    registry_.register_operation(*ended);
    keys_.remember(ended->spec->key, ended->id());
}

// Accepted once, and neither live nor ended as far as the runtime directory knows.
void Supervisor::Impl::recovered(const Unended& unended) {
    ids_.skip_to(unended.last_id);
    for (const Operation& operation : unended.operations) {
        const OperationId id = operation.id();
        if (registry_.get_operation(id) || history_writer_.is_unwritten(id) || adopting_.contains(id))
            continue;
        recorder_.begin_adoption(id);
        take_in(*operation.spec, nullptr, Origin::left_behind);
        if (operation.started_at)
            change(id, [&](Operation& record) {
                record.status = Status::running;
                record.started_at = operation.started_at;
            });
        lose(id, "the machine went down, or whatever else ended it and its shim at once");
        recorder_.end_adoption(registry_.get_operation(id));
    }
}

Result<> Supervisor::Impl::adopt() {
    auto left = find_left_operations(operations_.get());
    if (!left) return std::unexpected(left.error());
    // What was used stays used, also where this supervisor dies before it hands out the next id.
    if (!left->empty()) ids_.skip_to(left->back().id);
    kill_point("adopting");
    ask_history(*left);
    adoption_.emplace(loop_, operations_.get(), std::move(*left),
                      [this](OperationId id) { return callbacks_for(id); });
    // Clients that come next shall see them all. A shim that does not answer in time is adopted when it does.
    adoption_->gather(kAdoptionPatience);
    std::vector<Adoption::Adopted> adopted = adoption_->take();
    adoption_.reset();
    std::vector<OperationId> ids;
    for (Adoption::Adopted& operation : adopted) {
        ids.push_back(operation.left.id);
        adopt_one(std::move(operation));
        kill_point("adopted");
    }
    // A parent that was cancelled while nobody was there to tell its children.
    for (const OperationId id : ids)
        cascade(id);
    if (const auto remembered = std::exchange(remembered_, std::nullopt)) recovered(*remembered);
    if (store_) retention_.emplace(loop_, *store_, settings_.kept, settings_.warn);
    hooks_.resume();
    return {};
}

void Supervisor::Impl::adopt_one(Adoption::Adopted adopted) {
    const OperationId id = adopted.left.id;
    if (registry_.get_operation(id)) {
        // It has ended, and was only not cleared away.
        if (!adopted.link) remove_traces(operations_.get(), id);
        return;
    }
    if (!adopted.report && remembered_ &&
        std::ranges::find(remembered_->ended, id) != remembered_->ended.end()) {
        // Its shim was about to leave, or is held for the next operation and was stopped: that leaves once it
        // hears that its supervisor is gone. The client may not have been told of the end.
        const auto row =
            std::ranges::find(remembered_->recent, id, [](const Snapshot& ended) { return ended->id(); });
        if (row != remembered_->recent.end()) remember(*row);
        if (adopted.link)
            clearing_.later(id);  // It is about to write a record.
        else
            remove_traces(operations_.get(), id);
        return;
    }
    std::optional<Acceptance>& acceptance = adopted.left.acceptance;
    if (remembered_ && !acceptance) {
        const auto row = std::ranges::find(remembered_->operations, id, &Operation::id);
        if (row != remembered_->operations.end()) acceptance = Acceptance{*row->spec, true};
    }
    if (adopted.report) {
        adopting_.emplace(id, std::move(adopted.link));
        reported(id, *adopted.report, std::move(adopted.description));
    } else if (adopted.link && acceptance) {
        // Its shim does not answer, and it can be listed and cancelled all the same.
        recorder_.begin_adoption(id);
        take_in(acceptance->spec, std::move(adopted.link), Origin::left_behind);
        unheard_.insert(id);
        if (acceptance->begun) change(id, [](Operation& operation) { operation.status = Status::running; });
    } else if (adopted.link) {
        adopting_.emplace(id, std::move(adopted.link));
    } else if (const auto& record = adopted.left.exit_record) {
        recorder_.begin_adoption(id);
        take_in(record->spec, nullptr, Origin::left_behind);
        adopt_record(id, *record);
    } else {
        OperationSpec spec;
        spec.id = id;
        spec.name = "unknown";
        spec.created_at = wall_now();
        if (acceptance) spec = acceptance->spec;
        const bool never_begun = acceptance && !acceptance->begun;
        // Whoever asks for it again under its key gets it, since nothing of it has ever run.
        if (never_begun) spec.key.clear();
        recorder_.begin_adoption(id);
        take_in(spec, nullptr, Origin::left_behind);
        if (never_begun) {
            lose(id, kNeverBegun);
        } else if (acceptance && acceptance->lost) {
            lose(id, kShimKilled);
        } else {
            if (acceptance) change(id, [](Operation& operation) { operation.status = Status::running; });
            end_left_tree(id, record.error().os_errno == ENOENT ? kShimKilled : record.error().sentence());
        }
    }
    if (!adopting_.contains(id)) recorder_.end_adoption(registry_.get_operation(id));
}

// An operation that ended while nobody watched.
void Supervisor::Impl::adopt_record(OperationId id, const ExitRecord& record) {
    if (!record.why_lost.empty()) {
        lose(id, record.why_lost, {.report = {}, .has_record = true, .release = {}, .stored = {}});
        recorder_.end_adoption(registry_.get_operation(id));
        return;
    }
    const ShimReport& report = record.report;
    if (report.started && registry_.get_operation(id)->status == Status::pending)
        change(id, [](Operation& operation) { operation.status = Status::running; });
    change(id, [&](Operation& operation) { apply_report(operation, report); }, &report);
    live_.erase(id);
    recorder_.end_adoption(registry_.get_operation(id));
    kill_point("recorded");
    history_writer_.ended(registry_.get_operation(id),
                          {.report = report, .has_record = true, .release = {}, .stored = [this, id] {
                               notes_.forget(id);
                               kill_point("forgotten");
                           }});
}

// What a cancelation of this operation would have done to its children, had a supervisor been there.
void Supervisor::Impl::cascade(OperationId id) {
    const Snapshot parent = registry_.get_operation(id);
    if (!parent || !parent->cancelation) return;
    CancelRequest inherited;
    inherited.reason = CancelationReason::parent;
    inherited.message = "its parent, operation " + std::to_string(id) + ", was cancelled";
    inherited.by = parent->cancelation->by;
    std::vector<OperationId> cancelled;
    for (const Snapshot& child : registry_.children(id)) {
        // One that came after its parent's end has nothing to do with it.
        const bool in_time = !parent->ended_at || child->spec->created_at <= *parent->ended_at;
        if (in_time && child->status != Status::cancelling) cancel_one(child->id(), inherited, cancelled);
    }
}

}  // namespace cancelable
