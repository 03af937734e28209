// The parameters of the methods, as C++ and as JSON. Client and server share them, so that neither can
// misspell a name. share/doc/protocol.md says what each means.
//
// Encoding is lossless: bytes that are not UTF-8 travel as {"base64": "…"}. Decoding refuses what it does not
// know, with one sentence that names the parameter.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "engine/selector.h"
#include "engine/shim/spec.h"
#include "engine/store/prune.h"
#include "engine/supervisor.h"
#include "ipc/json_value.h"
#include "ipc/json_writer.h"

namespace cancelable::ipc {

// operation.run
struct RunParams {
    std::vector<std::string>
        descriptors;     // stdin, stdout, stderr, cwd, lifeline: those that are passed, in order
    OperationSpec spec;  // its id, log and created_at are the supervisor's and are not sent
    LaunchSettings launch;
    bool log = false;    // stdout and stderr, where not passed, go to the operation's log
    bool watch = false;  // an `operation.ended` notification is wanted

    // Where spec.parent is 0: it shall have no parent. Otherwise the supervisor finds out whose child it is.
    bool no_parent = false;
    OperationId operation_id = 0;  // what the caller's environment says of that; see CurrentParams

    bool progress = false;  // with `watch`: `operation.progress` notifications too
    bool brief = false;     // with `watch`: no more is told than who starts thousands wants to know
};
JsonText encode(const RunParams& params);
Result<RunParams> decode_run(JsonValue params);

// operation.list
struct ListParams {
    Selector selector;
    bool all = false;                    // ended ones too
    std::optional<std::size_t> limit;    // the last so many
    std::optional<std::uint64_t> after;  // answer once the revision is greater
    std::optional<std::string> key;      // the operation that was run with this key
};
nlohmann::json encode(const ListParams& params);
Result<ListParams> decode_list(JsonValue params);

// operation.cancel. Who asks is taken from the connection, and not sent.
struct CancelParams {
    Selector selector;
    CancelRequest request;
    bool wait = true;  // answer when all are gone, or cannot be ended
    bool dry_run = false;
};
nlohmann::json encode(const CancelParams& params);
Result<CancelParams> decode_cancel(JsonValue params);

// operation.wait
struct WaitParams {
    Selector selector;
    bool any = false;  // one is enough
    std::optional<std::chrono::milliseconds> timeout;
    bool progress = false;  // `operation.progress` notifications are wanted meanwhile
};
nlohmann::json encode(const WaitParams& params);
Result<WaitParams> decode_wait(JsonValue params);

// operation.signal. On the wire, `id` says the same as a selector of that one id.
struct SignalParams {
    Selector selector;
    int signal = 0;
    bool tree = false;
};
nlohmann::json encode(const SignalParams& params);
Result<SignalParams> decode_signal(JsonValue params);

// operation.pause and operation.resume
struct PauseParams {
    Selector selector;
    bool wait = true;  // answer when it is done
};
nlohmann::json encode(const PauseParams& params);
Result<PauseParams> decode_pause(JsonValue params, std::string_view method);

// operation.show
struct ShowParams {
    OperationId id = 0;
};
nlohmann::json encode(const ShowParams& params);
Result<ShowParams> decode_show(JsonValue params);

// history.prune
struct PruneParams {
    std::optional<std::chrono::milliseconds> older_than;  // since they ended; in `request` once decoded
    PruneRequest request;
    bool dry_run = false;
};
nlohmann::json encode(const PruneParams& params);
Result<PruneParams> decode_prune(JsonValue params);

// operation.current
struct CurrentParams {
    // As the caller finds it in CANCELABLE_OPERATION_ID, 0: not there. Believed only where the kernel does
    // not know better.
    OperationId operation_id = 0;
};
nlohmann::json encode(const CurrentParams& params);
Result<CurrentParams> decode_current(JsonValue params);

// operation.shield, with the one descriptor "shield"
struct ShieldParams {
    std::chrono::milliseconds limit{30'000};
    OperationId operation_id = 0;  // as above
};
nlohmann::json encode(const ShieldParams& params);
Result<ShieldParams> decode_shield(JsonValue params);

// operation.progress
struct ProgressParams {
    double fraction = 0;
    std::string text;
    OperationId operation_id = 0;  // as above
};
nlohmann::json encode(const ProgressParams& params);
Result<ProgressParams> decode_progress(JsonValue params);

// operation.result
struct ResultParams {
    std::string bytes;             // any, zero bytes included
    OperationId operation_id = 0;  // as above
};
nlohmann::json encode(const ResultParams& params);
Result<ResultParams> decode_result(JsonValue params);

// supervisor.stop
struct StopParams {
    enum class Mode : std::uint8_t { refuse, cancel, keep } mode = Mode::refuse;
};
nlohmann::json encode(const StopParams& params);
Result<StopParams> decode_stop(JsonValue params);

// stats.get
struct StatsParams {
    Selector selector;
};
nlohmann::json encode(const StatsParams& params);
Result<StatsParams> decode_stats(JsonValue params);

// The methods that take nothing.
Result<> decode_nothing(JsonValue params, std::string_view method);

}  // namespace cancelable::ipc
