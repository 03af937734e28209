#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/render/operations.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/terminal/screen.h"
#include "cli/verbs/verbs.h"
#include "cli/watch.h"
#include "ipc/json_text.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

struct ListOptions {
    bool all = false;
    bool ids_only = false;
    bool as_json = false;
    bool as_tree = false;
    bool watch = false;
    std::optional<std::size_t> limit;
};

// What is shown of an answer.
Result<std::string> render(const nlohmann::json& answer, const ListOptions& options, const Globals& globals) {
    if (options.as_json) {
        const auto& operations = answer.at("operations");
        // A watching program reads one line for each change.
        return operations.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    }
    const auto operations = decode_operations(answer);
    if (!operations) return std::unexpected(operations.error());
    if (options.ids_only) {
        std::string text;
        for (const Operation& operation : *operations)
            text += std::to_string(operation.id()) + "\n";
        return text;
    }
    // A heading over nothing is for a screen that is redrawn, not for a pipe.
    if (operations->empty() && !options.watch) return std::string();
    return operations_table(*operations, view_of(globals), options.as_tree);
}

void report_incomplete(const std::string& why) {
    if (!why.empty()) report_error("what follows is only what the supervisor has in memory: " + why);
}

// What the supervisor sends is what a program gets, one operation a line; nothing of it is made anew.
int list_json(ipc::Client& client, const ipc::ListParams& params) {
    const auto answer = client.call_text("operation.list", ipc::encode(params));
    if (!answer) return report(answer.error());
    const auto operations =
        ipc::element_texts(ipc::member_text(*answer, "operations").value_or(std::string_view()));
    if (!operations)
        return report({ErrorCode::protocol, "the supervisor's answer is no list of operations", 0});
    if (const auto why = ipc::member_text(*answer, "incomplete"))
        report_incomplete(nlohmann::json::parse(*why).get<std::string>());
    std::string text = "[";
    text.reserve(answer->size() + 2 * operations->size() + 8);
    for (const std::string_view operation : *operations)
        text.append(text.size() > 1 ? ",\n" : "\n").append(operation);
    text += operations->empty() ? "]\n" : "\n]\n";
    if (const int failed = print(text); failed != 0) return failed;
    if (!operations->empty() || params.selector.empty()) return kExitOk;
    report_error("no operation matches");
    return kExitNothing;
}

int list_once(const Globals& globals, const ListOptions& options, const ipc::ListParams& params) {
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    if (options.as_json) return list_json(*client, params);
    const auto answer = client->call("operation.list", ipc::encode(params));
    if (!answer) return report(answer.error());
    report_incomplete(answer->value("incomplete", std::string()));
    const auto text = render(*answer, options, globals);
    if (!text) return report(text.error());
    if (const int failed = print(*text); failed != 0) return failed;
    if (!answer->at("operations").empty()) return kExitOk;
    if (params.selector.empty()) {
        if (!options.ids_only && is_terminal(2))
            report_notice(
                globals, params.all ? "no operations yet" : "no live operations; --all lists ended ones too");
        return kExitOk;
    }
    report_error("no operation matches");
    return kExitNothing;
}

}  // namespace

int verb_list(Globals globals, const Words& words) {
    Options options("list", "Lists the live operations, and with --all the ended ones too.");
    options.example("cancelable list --all -n 20", "the last twenty operations, live or not");
    options.example("cancelable list --tag user=42 --json", "those of one user, for a program");
    ListOptions chosen;
    SelectorOptions selectors;
    options.flag("-a,--all", "ended operations too", chosen.all);
    options.count("-n,--limit", "only the last N", chosen.limit);
    options.flag("-q,--ids", "only the ids", chosen.ids_only);
    options.flag("--json", "an array of operations", chosen.as_json);
    options.flag("--tree", "children below their parents", chosen.as_tree);
    options.flag("--watch", "show it anew after every change", chosen.watch);
    selectors.add_to(options, AllMeans::something_else);
    add_globals(options, globals, false);
    if (const auto done = options.parse(words)) return *done;

    ipc::ListParams params;
    params.selector = selectors.selector();
    params.limit = chosen.limit;
    // Who asks for an end by name wants to see the ended ones.
    params.all = chosen.all || std::ranges::any_of(params.selector.statuses, is_ended);
    if (!chosen.watch) return list_once(globals, chosen, params);
    return watch_list(globals, params,
                      [&](const nlohmann::json& answer) { return render(answer, chosen, globals); });
}

}  // namespace cancelable::cli
