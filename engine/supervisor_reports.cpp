// What a supervisor hears from shims, to the end of an operation.
#include <algorithm>
#include <utility>

#include "engine/supervisor_impl.h"

namespace cancelable {
namespace {

std::string with_survivors(std::string why, const std::vector<pid_t>& survivors) {
    for (std::size_t i = 0; i < survivors.size(); ++i)
        why += (i == 0 ? "; still alive and not ours to signal: " : ", ") + std::to_string(survivors[i]);
    return why;
}

}  // namespace

void Supervisor::Impl::reported(OperationId id, const ShimReport& report, UniqueFd description) {
    if (adoption_) return adoption_->reported(id, report, std::move(description));
    if (const auto adopting = adopting_.find(id); adopting != adopting_.end()) {
        if (report.id != id) return shim_gone(id);  // See Adoption::reported().
        std::optional<OperationSpec> spec;
        if (auto decoded = read_description(description.get()); decoded && decoded->spec.id == id)
            spec = std::move(decoded->spec);
        else if (auto acceptance = read_acceptance(operations_.get(), id))
            spec = std::move(acceptance->spec);
        std::unique_ptr<ShimLink> link = std::move(adopting->second);
        adopting_.erase(adopting);
        if (!spec) {
            warn("operation " + std::to_string(id) + " cannot be adopted: its shim does not describe it");
            return;
        }
        recorder_.begin_adoption(id);
        take_in(*spec, std::move(link), Origin::left_behind);
        unheard_.insert(id);
    }
    const auto entry = live_.find(id);
    if (entry == live_.end()) return;
    if (report.id != id) {
        if (unheard_.contains(id)) shim_gone(id);  // Likewise. Others were late, and are of the one before.
        return;
    }
    if (unheard_.erase(id) > 0) {
        if (report.shim_pid > 0) ancestry_.add(id, report.shim_pid, report.shim_start_time);
        if (const auto decoded = read_description(description.get()); decoded && decoded->spec.id == id)
            sources_.add(decoded->spec, decoded->launch.environment, report.shim_pid);
    }

    const Snapshot before = registry_.get_operation(id);
    if (report.started && before->status == Status::pending)
        change(id, [&](Operation& record) {
            record.status = Status::running;
            record.started_at = report.started_at;
        });
    if (report.cancelation && !before->cancelation) {
        // The shim itself has cancelled: its timer, its lifeline, or a signal that it got.
        entry->second.cancel_sent = true;
        if (auto token = registry_.token(id))
            token->cancel(report.cancelation->reason, report.cancelation->message);
        std::vector<OperationId> cancelled;
        cancel_children(id, {.by = {report.cancelation->uid, report.cancelation->pid}}, cancelled);
    }
    const bool is_held = families_.hold(*before, report);
    ShimReport now = report;
    now.over = report.over && !is_held;
    change(id, [&](Operation& record) { apply_report(record, now); }, &now);
    recorder_.end_adoption(registry_.get_operation(id), report.signals);
    pausing_.reported(id, report);
    if (report.disconnected) sources_.disconnected(id);
    if (!now.over) return;
    kill_point("over");
    over(id, report);
}

void Supervisor::Impl::finish(OperationId id, const ShimReport& report) {
    change(id, [&](Operation& record) { apply_report(record, report); }, &report);
    over(id, report);
}

// Without a history, of an adopted one, whose client may still be asking for it: see Clearing. That of our
// own has been answered.
void Supervisor::Impl::keep_record(OperationId id, const ShimReport& report) {
    if (store_) return;
    const auto entry = live_.find(id);
    const Snapshot operation = registry_.get_operation(id);
    if (entry == live_.end() || !entry->second.link || !entry->second.link->is_adopted() || !operation)
        return;
    if (auto kept = write_exit_record(operations_.get(), *operation->spec, report); !kept)
        warn(kept.error().sentence());
}

// Its shim is let go once the end is where it cannot be lost.
void Supervisor::Impl::over(OperationId id, const ShimReport& report) {
    const auto entry = live_.find(id);
    if (entry == live_.end()) return;
    keep_record(id, report);
    const bool has_shim = entry->second.link != nullptr;
    const bool had_no_other = has_shim && !entry->second.link->is_adopted();
    if (has_shim) over_.emplace(id, Over{std::move(entry->second.link), report.can_stay});
    live_.erase(entry);
    history_writer_.ended(registry_.get_operation(id), {.report = report,
                                                        .had_no_other = had_no_other,
                                                        .release = [this, id] { recorded(id); },
                                                        .stored = [this, id] { notes_.forget(id); }});
    if (!has_shim) history_writer_.secure(id);  // It died after its last word.
}

void Supervisor::Impl::recorded(OperationId id) {
    const auto over = over_.find(id);
    if (over == over_.end()) return;
    const bool can_stay = over->second.can_stay;
    std::unique_ptr<ShimLink> link = std::move(over->second.link);
    over_.erase(over);
    // One that is not our child could not be waited for.
    if (can_stay && !link->is_adopted())
        if (auto kept = link->keep()) {
            ancestry_.remove(id);
            shims_.erase(kept->process.pid);
            idle_shims_.put(std::move(*kept));
            return;
        }
    link->release();
    if (link->is_adopted())
        ancestry_.remove(id);  // Nobody will tell of its end.
    else
        released_.emplace(id, std::move(link));
}

void Supervisor::Impl::when_recorded(OperationId id, std::function<void()> done) {
    if (const Snapshot operation = registry_.get_operation(id))
        history_writer_.confirm(operation, std::move(done));
    else
        done();
}

void Supervisor::Impl::shim_gone(OperationId id) {
    if (adoption_) return adoption_->gone(id);
    ancestry_.remove(id);
    if (const auto released = released_.find(id); released != released_.end()) {
        shims_.erase(released->second->shim_pid());
        released_.erase(released);
        // It may have been killed before it had done so itself. While its end is only in a record, that
        // stays.
        if (!history_writer_.is_unwritten(id)) remove_traces(operations_.get(), id);
        return;
    }
    if (const auto over = over_.find(id); over != over_.end()) {
        shims_.erase(over->second.link->shim_pid());
        over_.erase(over);
        history_writer_.secure(id);  // Killed while it waited to be let go.
        return;
    }
    if (adopting_.erase(id) > 0) {  // It ended before it had said anything.
        LeftOperation left;
        left.id = id;
        left.exit_record = read_exit_record(operations_.get(), id);
        if (auto acceptance = read_acceptance(operations_.get(), id))
            left.acceptance = std::move(*acceptance);
        Adoption::Adopted adopted;
        adopted.left = std::move(left);
        adopt_one(std::move(adopted));
        return;
    }
    const auto entry = live_.find(id);
    if (entry == live_.end()) return;
    if (entry->second.link) shims_.erase(entry->second.link->shim_pid());
    const bool was_child = entry->second.link && !entry->second.link->is_adopted();
    entry->second.link.reset();
    if (families_.is_held(id)) return;  // It had said all that there is to say.

    if (const auto record = read_exit_record(operations_.get(), id)) {
        adopt_record(id, *record);
        cascade(id);
        return;
    }
    if (!was_child) {
        const auto acceptance = read_acceptance(operations_.get(), id);
        if (!acceptance || acceptance->begun) return end_left_tree(id, kShimKilled);
        // Whoever asks for it again under its key gets it.
        keys_.forget(acceptance->spec.key);
        lose(id, kNeverBegun);
        return;
    }
    strays_.end([this, id](const std::vector<pid_t>& survivors) {
        lose(id, with_survivors(kShimKilled, survivors));
    });
}

// Its shim is dead and was none of ours.
void Supervisor::Impl::end_left_tree(OperationId id, const std::string& why) {
    left_trees_.end(id, [this, id, why](const std::vector<pid_t>& survivors) {
        lose(id, with_survivors(why, survivors));
    });
}

void Supervisor::Impl::lose(OperationId id, const std::string& why, HistoryWriter::Source source) {
    warn("operation " + std::to_string(id) + " is lost: " + why);
    change(id, [&](Operation& record) {
        record.status = Status::lost;
        record.error = why;
        record.pid.reset();
        record.ended_at = wall_now();
        if (record.started_at) record.duration = *record.ended_at - *record.started_at;
    });
    live_.erase(id);
    kill_point("lost");
    if (!source.has_record) note_loss(operations_.get(), id);
    source.stored = [this, id] { notes_.forget(id); };
    history_writer_.ended(registry_.get_operation(id), std::move(source));
}

}  // namespace cancelable
