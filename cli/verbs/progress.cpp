#include <nlohmann/json.hpp>

#include "cli/inside.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/verbs/verbs.h"
#include "engine/progress.h"
#include "ipc/requests.h"

namespace cancelable::cli {

int verb_progress(Globals globals, const Words& words) {
    Options options("progress", "Says how far the operation is that this is part of.");
    options.example("cancelable progress 40% \"epoch 4/10\"", "shown by list, show, and run on a terminal");
    options.example("cancelable progress 4/10", "the same fraction, without a text");
    Words said;
    options.words("FRACTION [TEXT]", "40%, 4/10 or 0.4, and what is being done", said);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (said.empty() || said.size() > 2) {
        report_error(
            "progress needs a fraction, and at most one text: cancelable progress 40% \"epoch 4/10\"");
        return kExitUsage;
    }
    const auto fraction = parse_fraction(said[0]);
    if (!fraction) return report(fraction.error());
    auto inside = connect_from_inside(globals);
    if (!inside) return report(inside.error());
    const ipc::ProgressParams params{*fraction, said.size() > 1 ? said[1] : "", inside->said};
    const auto answer = inside->client.call("operation.progress", ipc::encode(params));
    return answer ? kExitOk : report(answer.error());
}

}  // namespace cancelable::cli
