#include <nlohmann/json.hpp>

#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {

int verb_show(Globals globals, const Words& words) {
    Options options("show", "Shows one operation in full.");
    options.example("cancelable show 12", "its command, its times, and how it was cancelled");
    options.example("cancelable show 12 --json", "the same for a program");
    options.example("cancelable show 12 --result", "what it has put down with cancelable result");
    Words ids;
    bool as_json = false;
    bool only_result = false;
    options.words("ID", "the operation's id", ids);
    options.flag("--json", "one operation", as_json);
    options.flag("--result", "only the result that it has put down, byte for byte", only_result);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (ids.size() != 1) {
        report_error("show needs one id: cancelable show ID");
        return kExitUsage;
    }
    const auto id = parse_id(ids.front());
    if (!id) return report(id.error());
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    const auto answer = client->call("operation.show", ipc::encode(ipc::ShowParams{*id}));
    if (!answer) return report(answer.error());
    if (as_json && !only_result) return print_json(*answer);
    const auto operation = ipc::decode_operation(*answer);
    if (!operation) return report(operation.error());
    if (only_result) {
        if (operation->result) return print(*operation->result);
        report_error("operation " + std::to_string(*id) + " has no result");
        return kExitNothing;
    }
    return print(operation_details(*operation, view_of(globals)));
}

}  // namespace cancelable::cli
