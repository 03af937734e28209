#include "cli/exit_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "cli/render/text.h"
#include "cli/report.h"
#include "engine/quantity.h"

namespace cancelable::cli {
namespace {

constexpr int kKilled = 128 + SIGKILL;

// The first signal that asked rather than forced. Where the tree had ended before any could be sent, the one
// that was decided on.
int polite_signal(const Cancelation& cancelation) noexcept {
    const auto is_polite = [](int number) {
        return number != SIGKILL && number != SIGCONT && number != SIGSTOP;
    };
    const auto sent = std::ranges::find_if(cancelation.signals, is_polite);
    if (sent != cancelation.signals.end()) return *sent;
    return cancelation.signal != 0 ? cancelation.signal : SIGKILL;
}

std::string cancelled_sentence(const Operation& operation) {
    const auto& cancelation = operation.cancelation;
    // Who pressed Ctrl-C knows what happened.
    if (!cancelation || cancelation->reason == CancelationReason::signal) return {};
    std::string sentence =
        fmt::format("{} was cancelled ({})", describe(operation), to_string(cancelation->reason));
    if (!cancelation->message.empty()) sentence += ": " + printable(cancelation->message);
    return sentence;
}

Outcome failed_outcome(const Operation& operation) {
    const int status = operation.exit ? operation.exit->shell_status() : kExitOwnFailure;
    if (!operation.error.empty()) return {status, operation.error, true};
    return {status, {}, false};
}

Outcome cut_short(const Operation& operation, bool preserve_status) {
    const bool timed_out = operation.status == Status::timeout;
    Outcome outcome;
    outcome.sentence = timed_out ? fmt::format("{} timed out after {}", describe(operation),
                                               format_duration(operation.spec->timeout))
                                 : cancelled_sentence(operation);
    const auto& cancelation = operation.cancelation;
    if (preserve_status && operation.exit)
        outcome.status = operation.exit->shell_status();
    else if (cancelation && cancelation->escalated())
        outcome.status = kKilled;
    else if (timed_out)
        outcome.status = kExitTimeout;
    else
        outcome.status = 128 + (cancelation ? polite_signal(*cancelation) : SIGTERM);
    return outcome;
}

}  // namespace

std::string describe(const Operation& operation) {
    return fmt::format("operation {} ({})", operation.id(), printable(operation.spec->name));
}

std::string describe_survivors(const Operation& operation) {
    const auto& survivors = operation.cancelation->survivors;
    return fmt::format("{} is not gone: process{} {} may not be signalled by you", describe(operation),
                       survivors.size() == 1 ? "" : "es", fmt::join(survivors, ", "));
}

Outcome outcome_of(const Operation& operation, bool preserve_status) {
    if (operation.cancelation && !operation.cancelation->survivors.empty())
        return {kExitOwnFailure, describe_survivors(operation), true};
    switch (operation.status) {
        case Status::completed:
            return {};
        case Status::failed:
            return failed_outcome(operation);
        case Status::cancelled:
        case Status::timeout:
            return cut_short(operation, preserve_status);
        case Status::lost:
            return {kExitOwnFailure,
                    fmt::format("{} was lost{}{}", describe(operation), operation.error.empty() ? "" : ": ",
                                operation.error),
                    true};
        case Status::pending:
        case Status::running:
        case Status::paused:
        case Status::cancelling:
            break;
    }
    return {kExitOwnFailure, fmt::format("{} has not ended", describe(operation)), true};
}

}  // namespace cancelable::cli
