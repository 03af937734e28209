#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/connect.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/render/operations.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "engine/quantity.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

std::string seconds_text(double seconds) {
    return format_duration(std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)));
}

std::string percentiles_text(const json& percentiles) {
    return fmt::format("{} median, {} p90, {} p99", seconds_text(percentiles.value("p50", 0.0)),
                       seconds_text(percentiles.value("p90", 0.0)),
                       seconds_text(percentiles.value("p99", 0.0)));
}

std::string counts_text(const json& by_status) {
    std::string out;
    for (const auto& [status, count] : by_status.items())
        if (count.get<std::uint64_t>() > 0)
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count.get<std::uint64_t>(), status);
    return out.empty() ? "none" : out;
}

std::string render(const json& stats, const Palette& palette) {
    const auto number = [&](const char* name) { return stats.value(name, std::uint64_t{0}); };
    const json nothing = json::object();
    std::string text;
    const auto add = [&](std::string_view name, const std::string& value) {
        text += palette.paint(Style::dim, fmt::format("{:<16}", name)) + value + '\n';
    };
    add("operations", fmt::format("{} in all, {} live, {} running", number("total_operations"),
                                  number("active_operations"), number("running_operations")));
    add("live", counts_text(stats.value("active_by_status", nothing)));
    add("ended", counts_text(stats.value("history_by_status", nothing)));
    add("cancelled",
        fmt::format("{}, of which {} needed SIGKILL", number("cancelled_operations"), number("escalated")));
    add("average time", seconds_text(stats.value("average_duration_seconds", 0.0)));
    add("time", percentiles_text(stats.value("duration", nothing)));
    add("cancel latency", percentiles_text(stats.value("cancel_latency", nothing)));
    const json supervisor = stats.value("supervisor", nothing);
    add("supervisor", fmt::format("pid {}, version {}, up {}, {}", supervisor.value("pid", 0),
                                  supervisor.value("version", std::string("?")),
                                  seconds_text(supervisor.value("uptime", 0.0)),
                                  format_size(supervisor.value("rss", std::uint64_t{0}))));
    return text;
}

}  // namespace

int verb_stats(Globals globals, const Words& words) {
    Options options("stats", "Numbers about all operations, or those that match, and about the supervisor.");
    options.example("cancelable stats --json | jq .cancel_latency.p99", "how long cancelling takes at worst");
    options.example("cancelable stats 'user_42_*' --since 1d", "the numbers of one name and day");
    bool as_json = false;
    SelectorOptions selectors;
    options.flag("--json", "for a program", as_json);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    auto client = connect_to_supervisor(globals);
    if (!client) return report(client.error());
    const auto answer = client->call("stats.get", ipc::encode(ipc::StatsParams{selectors.selector()}));
    if (!answer) return report(answer.error());
    if (const auto why = answer->value("incomplete", std::string()); !why.empty())
        report_error("what follows is only what the supervisor has in memory: " + why);
    Selector narrowing = selectors.selector();
    narrowing.all = false;
    const bool nothing = !narrowing.empty() && answer->value("total_operations", std::uint64_t{0}) == 0;
    if (as_json || !nothing) {
        const int printed = as_json ? print_json(*answer) : print(render(*answer, view_of(globals).palette));
        if (printed != 0 || !nothing) return printed;
    }
    report_error("no operation matches");
    return kExitNothing;
}

}  // namespace cancelable::cli
