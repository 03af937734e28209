#include <nlohmann/json.hpp>
#include <optional>

#include "cli/connect.h"
#include "cli/exit_status.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"

namespace cancelable::cli {

int verb_signal(Globals globals, const Words& words) {
    Options options("signal",
                    "Sends a signal to operations, which is no cancelation, whichever signal it is.");
    options.example("cancelable signal 12 -s HUP", "to the command of operation 12");
    options.example("cancelable signal --tag role=worker -s RTMIN+1 --tree", "to every process of each");
    ipc::SignalParams params;
    SelectorOptions selectors;
    std::optional<int> number;
    bool as_json = false;
    options.signal("-s,--signal", "which: TERM, SIGTERM, 15, RTMIN+1", number);
    options.flag("--tree", "to all of its processes, not only to the command", params.tree);
    options.flag("--json", "an array of the operations that it was sent to", as_json);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    params.selector = selectors.selector();
    if (params.selector.empty() || !number) {
        report_error(number ? "say which operations to signal: by id, by name, by a selector, or --all"
                            : "say which signal to send: cancelable signal SELECTORS -s SIGNAL");
        return kExitUsage;
    }
    params.signal = *number;
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    const auto answer = client->call("operation.signal", ipc::encode(params));
    if (!answer) return report(answer.error());
    return as_json ? print_json(answer->at("operations")) : kExitOk;
}

}  // namespace cancelable::cli
