#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"

namespace cancelable::cli {

int verb_prune(Globals globals, const Words& words) {
    Options options(
        "prune",
        "Forgets ended operations, with their logs: those that meet all of what is said. Live ones stay.");
    options.example("cancelable prune --older-than 30d --dry-run",
                    "how many ended more than thirty days ago");
    options.example("cancelable prune --status completed --keep 1000", "of those, all but the last thousand");
    ipc::PruneParams params;
    bool as_json = false;
    options.duration("--older-than", "ended longer ago than this", params.older_than);
    options.count("--keep", "but for the N that ended last; 0: none stays", params.request.keep);
    options.value("--status", "STATUS", "ended like this; repeated: in any of these ways",
                  [&](const std::string& text) -> Result<> {
                      const auto status = parse_status_word(text);
                      if (!status) return std::unexpected(status.error());
                      params.request.statuses.push_back(*status);
                      return {};
                  });
    options.flag("--dry-run", "say how many it would be, and touch nothing", params.dry_run);
    options.flag("--json", "for a program", as_json);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (!params.older_than && !params.request.keep && params.request.statuses.empty()) {
        report_error(
            "say what to forget: --older-than, --keep or --status; --keep 0 alone forgets everything that "
            "has ended");
        return kExitUsage;
    }
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    const auto answer = client->call("history.prune", ipc::encode(params));
    if (!answer) return report(answer.error());
    if (as_json) return print_json(*answer);
    const auto operations = answer->value("operations", std::uint64_t{0});
    const auto logs = answer->value("logs", std::uint64_t{0});
    return print(fmt::format("{} operation{} and {} log{} {}\n", operations, operations == 1 ? "" : "s", logs,
                             logs == 1 ? "" : "s", params.dry_run ? "would be forgotten" : "forgotten"));
}

}  // namespace cancelable::cli
