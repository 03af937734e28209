#include "cli/cancel_until_gone.h"

#include <unistd.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/lasting_connection.h"
#include "engine/process/wall_time.h"
#include "ipc/timestamp.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

class Canceller {
public:
    Canceller(LastingConnection& connection, ipc::CancelParams params)
        : connection_(connection), params_(std::move(params)), waits_(std::exchange(params_.wait, false)) {}

    Result<json> run() {
        auto picked = pick();
        if (!picked || !waits_) return picked;
        Selector ids;
        for (const json& operation : picked->at("operations"))
            ids.ids.push_back(operation.value("id", OperationId{0}));
        params_.selector = ids;
        bool again = false;
        return connection_.ask("operation.wait", [&] {
            // A request may have died with its supervisor on the way to the shim. Saying it twice does no
            // harm; should this one be lost as well, the wait is, too.
            if (std::exchange(again, true)) (void)connection_.send("operation.cancel", ipc::encode(params_));
            ipc::WaitParams wait;
            wait.selector = ids;
            return ipc::encode(wait);
        });
    }

private:
    // Those that are being ended.
    Result<json> pick() {
        const auto started = Clock::now();
        const Selector original = params_.selector;
        int asked = 0;
        auto answer = connection_.ask("operation.cancel", [&] {
            if (asked++ > 0) params_.selector = narrowed(original, Clock::now() - started);
            return ipc::encode(params_);
        });
        if (asked == 1 || params_.dry_run) return answer;
        if (!answer && answer.error().code != ErrorCode::not_found) return answer;
        // The supervisor that did not answer may have heard it all the same, and some may be gone by now.
        auto ours = cancelled_by_us(params_.selector);
        if (!ours) return std::unexpected(ours.error());
        if (answer)
            for (const json& operation : answer->at("operations"))
                ours->insert_or_assign(operation.value("id", OperationId{0}), operation);
        if (ours->empty()) return answer;
        json operations = json::array();
        for (auto& [id, operation] : *ours)
            operations.push_back(std::move(operation));
        return json{{"operations", std::move(operations)}};
    }

    // What it picked so long ago.
    static Selector narrowed(Selector selector, Clock::duration ago) {
        const auto passed = std::chrono::ceil<std::chrono::milliseconds>(ago);
        selector.older_than = selector.older_than.value_or(std::chrono::milliseconds(0)) + passed;
        if (selector.newer_than) *selector.newer_than += passed;
        return selector;
    }

    Result<std::map<OperationId, json>> cancelled_by_us(Selector selector) {
        selector.statuses.clear();  // it has another one by now
        ipc::ListParams params;
        params.selector = std::move(selector);
        params.all = true;
        const auto answer = connection_.ask("operation.list", [&] { return ipc::encode(params); });
        if (!answer) return std::unexpected(answer.error());
        std::map<OperationId, json> ours;
        const json us{{"uid", ::getuid()}, {"pid", ::getpid()}};
        for (const json& operation : answer->at("operations")) {
            const json cancel = operation.value("cancel", json());
            // A process of long ago may have had our number.
            if (cancel.is_object() && cancel.value("by", json()) == us &&
                cancel.value("requested_at", "") >= began_)
                ours.emplace(operation.value("id", OperationId{0}), operation);
        }
        return ours;
    }

    LastingConnection& connection_;
    ipc::CancelParams params_;
    bool waits_;
    const std::string began_ = ipc::format_timestamp(wall_now());
};

}  // namespace

Result<json> cancel_until_gone(const Globals& globals, ipc::CancelParams params) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    return Canceller(*connection, std::move(params)).run();
}

}  // namespace cancelable::cli
