#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/follow_events.h"
#include "cli/nearest.h"
#include "cli/options.h"
#include "cli/render/text.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"

namespace cancelable::cli {
namespace {

Result<EventKind> parse_kind_word(const std::string& word) {
    if (const auto kind = parse_event_kind(word)) return *kind;
    std::vector<std::string_view> known;
    for (const auto& [kind, name] : kEventKinds)
        known.push_back(name);
    return failure(ErrorCode::usage, in_quotes(word) + " is no kind of event" + did_you_mean(word, known));
}

}  // namespace

int verb_events(Globals globals, const Words& words) {
    Options options("events",
                    "Prints what happens to operations as it happens, until it is interrupted: every step, "
                    "request, signal and end. Goes on when the supervisor is replaced, and starts none.");
    options.example("cancelable events 'user_42_*'", "all that happens to operations of such a name");
    options.example("cancelable events --json --kind ended", "a line of JSON for each end, for a program");
    ipc::SubscribeParams params;
    SelectorOptions selectors;
    bool as_json = false;
    bool no_follow = false;
    std::optional<std::size_t> after;
    options.flag("--json", "one object a line", as_json);
    options.value("--kind", "KIND", "accepted, status, cancel, signal, ended, …; can be repeated",
                  [&params](const std::string& text) -> Result<> {
                      const auto kind = parse_kind_word(text);
                      if (!kind) return std::unexpected(kind.error());
                      params.kinds.push_back(*kind);
                      return {};
                  });
    options.count("-n,--replay", "begin with the last N that are remembered", params.replay);
    options.count("--after", "go on behind the event of this number, and say what is missing", after);
    options.flag("--no-follow", "only what is remembered; default of --replay: all of it", no_follow);
    selectors.add_to(options, AllMeans::every_operation);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (after && params.replay) {
        report_error("--after and --replay exclude each other");
        return kExitUsage;
    }
    params.selector = selectors.selector();
    params.after = after;
    params.follow = !no_follow;
    return follow_events(globals, std::move(params), as_json);
}

}  // namespace cancelable::cli
