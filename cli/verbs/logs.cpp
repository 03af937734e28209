#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/exit_status.h"
#include "cli/follow_log.h"
#include "cli/lasting_connection.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/selector_options.h"
#include "cli/verbs/verbs.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

Result<int> print_log(const Globals& globals, OperationId id, bool follow, std::optional<std::size_t> lines) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    const auto answer = connection->ask("operation.show", [&] { return ipc::encode(ipc::ShowParams{id}); });
    if (!answer) return std::unexpected(answer.error());
    const auto operation = ipc::decode_operation(*answer);
    if (!operation) return std::unexpected(operation.error());
    if (operation->spec->log.empty())
        return failure(ErrorCode::refused,
                       fmt::format("{} is not logged: detached operations are, and those run with --log",
                                   describe(*operation)));
    auto log = LogPrinter::open(operation->spec->log);
    if (!log) return std::unexpected(log.error());
    if (lines)
        if (auto skipped = log->skip_to_last_lines(*lines); !skipped) return std::unexpected(skipped.error());
    if (!follow) {
        const auto printed = log->print_new();
        if (!printed) return std::unexpected(printed.error());
        return printed->value_or(kExitOk);
    }
    return log->follow(*connection, id);
}

}  // namespace

int verb_logs(Globals globals, const Words& words) {
    Options options("logs", "Prints what an operation has written to its log.");
    options.example("cancelable logs 12 -n 50 -f",
                    "the last fifty lines, and then what comes, until it has ended");
    Words ids;
    bool follow = false;
    std::optional<std::size_t> lines;
    options.words("ID", "the operation's id", ids);
    options.flag("-f,--follow", "go on until the operation has ended", follow);
    options.count("-n,--lines", "only the last N lines; default: all", lines);
    add_globals(options, globals);
    if (const auto done = options.parse(words)) return *done;
    if (ids.size() != 1) {
        report_error("logs needs one id: cancelable logs ID");
        return kExitUsage;
    }
    const auto id = parse_id(ids.front());
    if (!id) return report(id.error());
    const auto status = print_log(globals, *id, follow, lines);
    return status ? *status : report(status.error());
}

}  // namespace cancelable::cli
