// The verbs pause and resume, which are one but for a word.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/connect.h"
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

// What is wrong with one that was to be paused or resumed; empty: nothing.
std::string shortcoming(const Operation& operation, bool pause) {
    if (operation.status >= Status::cancelling) return {};  // It is being ended, or has ended, meanwhile.
    if (operation.status == Status::pending) return {};     // It begins when it is not paused any more.
    if ((operation.status == Status::paused) != pause)
        return fmt::format("{} could not be {}: it is {}", describe(operation), pause ? "paused" : "resumed",
                           to_string(operation.status));
    if (operation.unstoppable.empty()) return {};
    return fmt::format("{} is not all paused: process{} {} may not be signalled by you", describe(operation),
                       operation.unstoppable.size() == 1 ? "" : "es", fmt::join(operation.unstoppable, ", "));
}

int tell(const Globals& globals, const nlohmann::json& answer, bool pause, bool waited, bool as_json) {
    const auto operations = decode_operations(answer);
    if (!operations) return report(operations.error());
    int status = as_json ? print_json(answer.at("operations"))
                         : print(operations_table(*operations, view_of(globals), false));
    if (status != kExitOk || !waited) return status;
    for (const Operation& operation : *operations) {
        const std::string sentence = shortcoming(operation, pause);
        if (sentence.empty()) continue;
        report_error(sentence);
        status = kExitSurvivors;
    }
    return status;
}

int set_paused(Globals globals, const Words& words, Options& options, bool pause) {
    SelectorOptions selectors;
    bool no_wait = false;
    bool as_json = false;
    options.flag("--no-wait", "return when it is asked for", no_wait);
    options.flag("--json", "an array of operations", as_json);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    const ipc::PauseParams params{selectors.selector(), !no_wait};
    if (params.selector.empty()) {
        report_error(fmt::format(
            "say which operations to {}: by id, by name as in 'user_42_*', by a selector, or --all",
            pause ? "pause" : "resume"));
        return kExitUsage;
    }
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    const auto answer = client->call(pause ? "operation.pause" : "operation.resume", ipc::encode(params));
    if (!answer) return report(answer.error());
    return tell(globals, *answer, pause, params.wait, as_json);
}

}  // namespace

int verb_pause(Globals globals, const Words& words) {
    Options options("pause", "Stills operations, with all that they started and all operations inside them.");
    options.example("cancelable pause 'train*'", "returns when nothing of them runs any more");
    return set_paused(std::move(globals), words, options, true);
}

int verb_resume(Globals globals, const Words& words) {
    Options options("resume", "Continues paused operations, with all operations inside them.");
    options.example("cancelable resume --status paused", "all that are paused");
    return set_paused(std::move(globals), words, options, false);
}

}  // namespace cancelable::cli
