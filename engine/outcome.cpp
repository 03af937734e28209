#include "engine/outcome.h"

#include <sys/wait.h>

#include <cerrno>

namespace cancelable {
namespace {

// As shells and timeout(1) have it: 127 for a command that is not there, 126 for one that cannot be executed,
// 125 where the failure is not the command's.
int launch_failure_code(const ShimReport& report) {
    if (!report.failed_at_exec) return 125;
    return report.failed_errno == ENOENT || report.failed_errno == ENOTDIR ? 127 : 126;
}

Exit as_exit(int wait_status) {
    if (WIFSIGNALED(wait_status)) return {.by_signal = true, .value = WTERMSIG(wait_status)};
    return {.by_signal = false, .value = WEXITSTATUS(wait_status)};
}

Status end_status(const Operation& operation) {
    if (operation.cancelation)
        return operation.cancelation->reason == CancelationReason::timeout ? Status::timeout
                                                                           : Status::cancelled;
    return operation.exit == Exit{} ? Status::completed : Status::failed;
}

}  // namespace

void apply_report(Operation& operation, const ShimReport& report) {
    if (report.started) {
        operation.pid = report.has_exited ? std::nullopt : std::optional(report.pid);
        operation.started_at = report.started_at;
        if (report.has_exited) operation.exit = as_exit(report.wait_status);
    } else if (report.over && !report.cancelation) {
        operation.exit = Exit{.by_signal = false, .value = launch_failure_code(report)};
        operation.error = Error{ErrorCode::system, report.failed_doing, report.failed_errno}.sentence();
    }
    operation.shielded.reset();
    if (report.shields > 0 && !report.over) {
        operation.shielded = Shielded{.count = report.shields, .limit = report.shield_limit, .until = {}};
        if (report.held_until != WallTime{}) operation.shielded->until = report.held_until;
    }
    if (report.cancelation) {
        // The shim's word is the last one: it may have cancelled on its own before our request reached it.
        auto cancelation = std::make_shared<Cancelation>();
        cancelation->reason = report.cancelation->reason;
        cancelation->message = report.cancelation->message;
        cancelation->by = {report.cancelation->uid, report.cancelation->pid};
        cancelation->signal = report.cancelation->signal;
        cancelation->requested_at = report.cancelation->requested_at;
        cancelation->signals = report.signals;
        cancelation->processes = report.processes;
        cancelation->survivors = report.survivors;
        if (report.over) cancelation->gone_at = report.over_at;
        operation.cancelation = std::move(cancelation);
        if (!report.over) operation.status = Status::cancelling;
    }
    operation.unstoppable = report.unstoppable;
    const bool can_be_paused = operation.status == Status::running || operation.status == Status::paused;
    if (can_be_paused) operation.status = report.paused ? Status::paused : Status::running;
    if (!report.over) return;
    operation.pid.reset();
    operation.ended_at = report.over_at;
    operation.duration = report.duration;
    operation.usage = Usage{report.user_time, report.system_time, report.max_rss_bytes};
    operation.status = end_status(operation);
    if (operation.cancelation && !operation.cancelation->gone_at) {
        // It came when nothing of the tree was left, so the shim knows nothing of it.
        auto cancelation = std::make_shared<Cancelation>(*operation.cancelation);
        cancelation->gone_at = report.over_at;
        cancelation->survivors.clear();
        operation.cancelation = std::move(cancelation);
    }
}

}  // namespace cancelable
