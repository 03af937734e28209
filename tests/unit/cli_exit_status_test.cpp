#include <doctest/doctest.h>

#include <csignal>

#include "cli/exit_status.h"

using namespace cancelable;
using namespace cancelable::cli;
using namespace std::chrono_literals;

namespace {

Operation ended(Status status) {
    Operation operation;
    OperationSpec spec;
    spec.id = 12;
    spec.name = "build";
    spec.timeout = 5s;
    operation.spec = std::make_shared<const OperationSpec>(std::move(spec));
    operation.status = status;
    return operation;
}

Operation exited(Status status, int code) {
    Operation operation = ended(status);
    operation.exit = Exit{false, code};
    return operation;
}

Operation cut_short(Status status, CancelationReason reason, std::vector<int> signals) {
    Operation operation = ended(status);
    Cancelation cancelation;
    cancelation.reason = reason;
    cancelation.signal = SIGTERM;
    cancelation.signals = std::move(signals);
    operation.cancelation = std::make_shared<const Cancelation>(std::move(cancelation));
    return operation;
}

int status_of(const Operation& operation) {
    return outcome_of(operation, false).status;
}

}  // namespace

TEST_CASE("a command that ended by itself gives its own status") {
    CHECK(status_of(exited(Status::completed, 0)) == 0);
    CHECK(status_of(exited(Status::failed, 3)) == 3);
    Operation killed = ended(Status::failed);
    killed.exit = Exit{true, SIGSEGV};
    CHECK(status_of(killed) == 139);
    CHECK(outcome_of(killed, false).sentence.empty());
}

TEST_CASE("a command that cannot be executed gives 126 or 127, and says why") {
    Operation operation = exited(Status::failed, 127);
    operation.error = "cannot execute \"nonsense\": no such file or directory";
    const Outcome outcome = outcome_of(operation, false);
    CHECK(outcome.status == 127);
    CHECK(outcome.sentence == operation.error);
    CHECK(outcome.is_error);
}

TEST_CASE("a timeout gives 124, and 137 where it had to be killed") {
    const auto polite = cut_short(Status::timeout, CancelationReason::timeout, {SIGTERM});
    CHECK(status_of(polite) == 124);
    CHECK(outcome_of(polite, false).sentence == "operation 12 (build) timed out after 5.0s");
    CHECK_FALSE(outcome_of(polite, false).is_error);
    CHECK(status_of(cut_short(Status::timeout, CancelationReason::timeout, {SIGTERM, SIGKILL})) == 137);
}

TEST_CASE("a cancelation gives 128 and the polite signal, and 137 where it had to be killed") {
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::signal, {SIGINT})) == 130);
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::manual, {SIGTERM})) == 143);
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::manual, {SIGCONT, SIGHUP})) == 129);
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::manual, {SIGTERM, SIGKILL})) == 137);
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::manual, {SIGKILL})) == 137);
    CHECK(status_of(ended(Status::cancelled)) == 143);
}

TEST_CASE("a cancelation that found nothing left to signal gives the signal that was decided on") {
    CHECK(status_of(cut_short(Status::cancelled, CancelationReason::manual, {})) == 143);
}

TEST_CASE("who pressed Ctrl-C is told nothing, who was cancelled by another is") {
    CHECK(outcome_of(cut_short(Status::cancelled, CancelationReason::signal, {SIGINT}), false)
              .sentence.empty());
    CHECK(outcome_of(cut_short(Status::cancelled, CancelationReason::shutdown, {SIGTERM}), false).sentence ==
          "operation 12 (build) was cancelled (shutdown)");
}

TEST_CASE("with --preserve-status the command's own status wins over a timeout and a cancelation") {
    Operation operation = cut_short(Status::timeout, CancelationReason::timeout, {SIGTERM, SIGKILL});
    operation.exit = Exit{false, 7};
    CHECK(outcome_of(operation, true).status == 7);
    operation.exit = Exit{true, SIGTERM};
    CHECK(outcome_of(operation, true).status == 143);
    operation.exit.reset();
    CHECK(outcome_of(operation, true).status == 137);
}

TEST_CASE("survivors and lost operations give 125 and are named") {
    Operation operation = ended(Status::cancelling);
    Cancelation cancelation;
    cancelation.survivors = {77, 78};
    operation.cancelation = std::make_shared<const Cancelation>(cancelation);
    const Outcome survived = outcome_of(operation, true);
    CHECK(survived.status == 125);
    CHECK(survived.is_error);
    CHECK(survived.sentence ==
          "operation 12 (build) is not gone: processes 77, 78 may not be signalled by you");

    Operation lost = ended(Status::lost);
    lost.error = "its shim was killed";
    CHECK(outcome_of(lost, false).status == 125);
    CHECK(outcome_of(lost, false).sentence == "operation 12 (build) was lost: its shim was killed");
}

TEST_CASE("an operation that has not ended is no success") {
    CHECK(status_of(ended(Status::running)) == 125);
    CHECK(status_of(ended(Status::pending)) == 125);
}
