#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/caller.h"
#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

int not_part_of_any() {
    report_error("this is not part of an operation");
    return kExitNothing;
}

}  // namespace

int verb_current(Globals globals, const Words& words) {
    Options options("current",
                    "Prints the id of the operation that this is part of; 1 where it is part of none.");
    options.example("cancelable run sh -c 'cancelable current'", "an operation that prints its own id");
    bool as_json = false;
    options.flag("--json", "the operation", as_json);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    const auto socket = globals.socket_path();
    if (!socket) return report(socket.error());
    // Nothing that a supervisor started to answer this could know of us.
    const OperationId said = surrounding_operation(*socket);
    auto client = connect_to_supervisor(globals, said != 0 ? WhenAbsent::start_one : WhenAbsent::fail);
    if (!client && said == 0) return not_part_of_any();
    if (!client) return report(client.error());
    const auto answer = client->call("operation.current", ipc::encode(ipc::CurrentParams{said}));
    if (!answer) return report(answer.error());
    if (answer->is_null()) return not_part_of_any();
    if (as_json) return print_json(*answer);
    const auto operation = ipc::decode_operation(*answer);
    if (!operation) return report(operation.error());
    return print(fmt::format("{}\n", operation->id()));
}

}  // namespace cancelable::cli
