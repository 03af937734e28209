#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/cancel_until_gone.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/render/operations.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

int tell(const Globals& globals, const nlohmann::json& answer, const ipc::CancelParams& params,
         bool as_json) {
    const auto operations = decode_operations(answer);
    if (!operations) return report(operations.error());
    int status = kExitOk;
    if (as_json)
        status = print_json(answer.at("operations"));
    else if (params.dry_run)
        status = print(operations_table(*operations, view_of(globals), false));
    else
        status = print(cancelled_lines(*operations, view_of(globals)));
    if (status != kExitOk || !params.wait) return status;
    for (const Operation& operation : *operations) {
        if (!operation.cancelation || operation.cancelation->survivors.empty()) continue;
        report_error(describe_survivors(operation));
        status = kExitSurvivors;
    }
    return status;
}

}  // namespace

int verb_cancel(Globals globals, const Words& words) {
    Options options("cancel", "Ends operations, and returns when everything that they ever started is gone.");
    options.example("cancelable cancel 'user_42_*' -m 'user left'", "every live operation of such a name");
    options.example("cancelable cancel --older-than 1h --now", "without a polite signal");
    ipc::CancelParams params;
    SelectorOptions selectors;
    bool no_wait = false;
    bool as_json = false;
    options.text("-m,--message", "TEXT", "why, for the record", params.request.message);
    options.signal("--signal", "the polite signal; default: the operation's own", params.request.signal);
    options.duration("--grace", "from it to SIGKILL; default: the operation's own", params.request.grace);
    options.flag("--now", "SIGKILL at once", params.request.now);
    options.flag("--no-wait", "return when it is asked for", no_wait);
    options.flag("--dry-run", "only list what would be cancelled", params.dry_run);
    options.flag("--json", "an array of operations", as_json);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;

    params.selector = selectors.selector();
    params.wait = !no_wait && !params.dry_run;
    if (params.selector.empty()) {
        report_error(
            "say which operations to cancel: by id, by name as in 'user_42_*', by a selector, or --all");
        return kExitUsage;
    }
    const auto answer = cancel_until_gone(globals, params);
    if (!answer) return report(answer.error());
    return tell(globals, *answer, params, as_json);
}

}  // namespace cancelable::cli
