#include "engine/outcome.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>

namespace cancelable {
namespace {

Operation running() {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = 3;
    Operation operation;
    operation.spec = spec;
    operation.status = Status::running;
    return operation;
}

ShimReport report_of(int wait_status, bool over) {
    ShimReport report;
    report.id = 3;
    report.pid = 99;
    report.started = true;
    report.has_exited = true;
    report.wait_status = wait_status;
    report.over = over;
    return report;
}

Operation after(const ShimReport& report) {
    Operation operation = running();
    apply_report(operation, report);
    return operation;
}

constexpr int kExited = 256;  // wait status of exit(1)

TEST_CASE("exit 0 is completed, any other exit is failed") {
    CHECK(after(report_of(0, true)).status == Status::completed);
    const Operation failed = after(report_of(7 * kExited, true));
    CHECK(failed.status == Status::failed);
    CHECK(failed.exit == Exit{false, 7});
    const Operation killed = after(report_of(SIGSEGV, true));
    CHECK(killed.status == Status::failed);
    CHECK(killed.exit == Exit{true, SIGSEGV});
    CHECK(killed.exit->shell_status() == 139);
}

TEST_CASE("a cancelation decides the end whatever the exit status is") {
    ShimReport report = report_of(0, true);
    report.cancelation = ReportedCancelation{};
    report.signals = {SIGTERM};
    CHECK(after(report).status == Status::cancelled);
    CHECK_FALSE(after(report).cancelation->escalated());
    CHECK(after(report).cancelation->gone_at.has_value());
    report.cancelation->reason = CancelationReason::timeout;
    CHECK(after(report).status == Status::timeout);
    report.cancelation->reason = CancelationReason::disconnect;
    CHECK(after(report).status == Status::cancelled);
}

TEST_CASE("what was cancelled before its command began has no exit status and is no failure") {
    ShimReport report;
    report.id = 3;
    report.over = true;
    report.cancelation = ReportedCancelation{};
    const Operation operation = after(report);
    CHECK(operation.status == Status::cancelled);
    CHECK_FALSE(operation.exit);
    CHECK_FALSE(operation.started_at);
    CHECK(operation.error.empty());
}

TEST_CASE("an operation is not ended while something of its tree lives") {
    const Operation operation = after(report_of(0, false));
    CHECK(operation.status == Status::running);
    CHECK(operation.exit == Exit{false, 0});
    CHECK_FALSE(operation.pid.has_value());
    CHECK_FALSE(operation.ended_at.has_value());

    ShimReport report = report_of(0, false);
    report.cancelation = ReportedCancelation{};
    report.survivors = {12};
    CHECK(after(report).status == Status::cancelling);
    CHECK(after(report).cancelation->survivors == std::vector<pid_t>{12});
    CHECK_FALSE(after(report).cancelation->gone_at.has_value());
}

TEST_CASE("a command that cannot be started has the exit code that shells give it") {
    ShimReport report;
    report.id = 3;
    report.over = true;
    report.failed_doing = "cannot execute \"x\"";
    report.failed_at_exec = true;
    report.failed_errno = ENOENT;
    CHECK(after(report).exit == Exit{false, 127});
    CHECK(after(report).status == Status::failed);
    CHECK(after(report).error == "cannot execute \"x\": no such file or directory");
    report.failed_errno = EACCES;
    CHECK(after(report).exit == Exit{false, 126});
    report.failed_at_exec = false;
    CHECK(after(report).exit == Exit{false, 125});
}

}  // namespace
}  // namespace cancelable
