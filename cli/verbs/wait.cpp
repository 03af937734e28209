#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "cli/lasting_connection.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"
#include "ipc/selector_codec.h"

namespace cancelable::cli {
namespace {

using Clock = std::chrono::steady_clock;

// The next supervisor knows the operations as well, but which of them are meant is decided only once: what a
// selector other than ids picks may be others by then.
Result<> settle_selector(LastingConnection& connection, Selector& selector) {
    Selector ids_only;
    ids_only.ids = selector.ids;
    if (ipc::encode_selector(selector) == ipc::encode_selector(ids_only)) return {};
    ipc::ListParams params;
    params.selector = selector;
    params.all = true;
    const auto answer = connection.ask("operation.list", [&] { return ipc::encode(params); });
    if (!answer) return std::unexpected(answer.error());
    for (const auto& operation : answer->at("operations"))
        ids_only.ids.push_back(operation.value("id", OperationId{0}));
    std::ranges::sort(ids_only.ids);
    const auto repeated = std::ranges::unique(ids_only.ids);
    ids_only.ids.erase(repeated.begin(), repeated.end());
    if (answer->at("operations").empty()) return failure(ErrorCode::not_found, "no operation matches");
    selector = std::move(ids_only);
    return {};
}

Result<nlohmann::json> wait_patiently(const Globals& globals, ipc::WaitParams params) {
    const auto started = Clock::now();
    const auto timeout = params.timeout;
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    if (auto settled = settle_selector(*connection, params.selector); !settled)
        return std::unexpected(settled.error());
    if (globals.verbose)
        report_notice(globals, fmt::format("waiting for {} operation{}", params.selector.ids.size(),
                                           params.selector.ids.size() == 1 ? "" : "s"));
    return connection->ask("operation.wait", [&] {
        if (timeout) {
            const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
            params.timeout = std::max(*timeout - passed, std::chrono::milliseconds(0));
        }
        return ipc::encode(params);
    });
}

}  // namespace

int verb_wait(Globals globals, const Words& words) {
    Options options("wait",
                    "Waits until the operations have ended. One: exits as it did. Several: 0 if all have "
                    "completed, else 1. "
                    "124 if the time ran out.");
    options.example("cancelable wait 12", "exits as operation 12 does");
    options.example("cancelable wait --tag build=7 --timeout 10m", "for a whole family, at most ten minutes");
    ipc::WaitParams params;
    SelectorOptions selectors;
    bool as_json = false;
    options.flag("--any", "one of them is enough", params.any);
    options.duration("--timeout", "give up after this", params.timeout);
    options.flag("--json", "an array of those that have ended", as_json);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;

    params.selector = selectors.selector();
    if (params.selector.empty()) {
        report_error(
            "say which operations to wait for: by id, by name as in 'user_42_*', by a selector, or --all");
        return kExitUsage;
    }
    const auto answer = wait_patiently(globals, params);
    if (!answer) return report(answer.error());
    const auto operations = decode_operations(*answer);
    if (!operations) return report(operations.error());
    if (as_json)
        if (const int failed = print_json(answer->at("operations")); failed != 0) return failed;
    if (answer->value("timed_out", false)) {
        report_notice(globals, "the time ran out before they had ended");
        return kExitTimeout;
    }
    if (operations->size() == 1) {
        const Outcome outcome = outcome_of(operations->front(), false);
        if (outcome.is_error) report_error(outcome.sentence);
        return outcome.status;
    }
    const auto completed = [](const Operation& operation) { return operation.status == Status::completed; };
    return std::ranges::all_of(*operations, completed) ? kExitOk : kExitNothing;
}

}  // namespace cancelable::cli
