#include "engine/local_operation.h"

#include <utility>

namespace cancelable {
namespace {

void add_cancelation(Operation& record, const CancelationToken& token) {
    if (record.cancelation) return;
    const Verdict verdict = token.verdict().value_or(Verdict{});
    auto cancelation = std::make_shared<Cancelation>();
    cancelation->reason = verdict.reason;
    cancelation->message = verdict.message;
    cancelation->requested_at = verdict.at;
    record.cancelation = std::move(cancelation);
}

}  // namespace

LocalOperation::LocalOperation(Registry& registry, LocalWork work) : registry_(registry) {
    OperationSpec spec;
    spec.id = registry.reserve_id();
    spec.name = std::move(work.name);
    spec.tags = std::move(work.tags);
    spec.parent = work.parent;
    if (const auto around = current_operation(); spec.parent == 0 && around) spec.parent = around->id;
    spec.created_at = wall_now();
    operation_.id = spec.id;
    operation_.name = spec.name;
    Operation first;
    first.spec = std::make_shared<const OperationSpec>(std::move(spec));
    registry.register_operation(std::move(first));
    // It may be unregistered by anybody at any moment: then it works on, with a token that nobody else has.
    operation_.token = registry.token(operation_.id).value_or(CancelationToken());
    cancelling_ = operation_.token.on_cancel([this] {
        (void)registry_.update(operation_.id, [this](Operation& record) {
            record.status = Status::cancelling;
            add_cancelation(record, operation_.token);
        });
    });
}

LocalOperation::~LocalOperation() {
    if (ended_) return;
    operation_.token.cancel(CancelationReason::shutdown, "it was given up before it began");
    end();
}

void LocalOperation::start() {
    // Refused where it is being cancelled just now: it then ends as that.
    (void)registry_.update(operation_.id, [](Operation& record) {
        record.status = Status::running;
        record.started_at = wall_now();
    });
}

void LocalOperation::end() noexcept {
    ended_ = true;
    // A token that is set after this comes too late, and whoever sets it now has set the status before this
    // returns.
    cancelling_ = {};
    (void)registry_.update(operation_.id, [this](Operation& record) {
        record.ended_at = wall_now();
        if (record.started_at) record.duration = *record.ended_at - *record.started_at;
        if (const auto verdict = operation_.token.verdict()) {
            add_cancelation(record, operation_.token);
            auto cancelation = std::make_shared<Cancelation>(*record.cancelation);
            cancelation->gone_at = record.ended_at;
            record.cancelation = std::move(cancelation);
            record.status =
                verdict->reason == CancelationReason::timeout ? Status::timeout : Status::cancelled;
        } else {
            record.error = failure_.value_or("");
            record.status = failure_ ? Status::failed : Status::completed;
        }
    });
}

}  // namespace cancelable
