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
        : connection_(connection), params_(std::move(params)), original_(params_.selector) {}

    Result<json> run() {
        const bool waits = params_.wait;
        auto answer = connection_.ask("operation.cancel", [&] {
            // One request does it all, but the one that took it may die before everything is gone. The next
            // is asked for no more than is left of what was meant then.
            if (asked_++ > 0) {
                params_.selector = narrowed(original_, Clock::now() - started_);
                params_.wait = false;
            }
            return ipc::encode(params_);
        });
        if (asked_ == 1 || params_.dry_run) return answer;
        auto picked = add_those_of_before(std::move(answer));
        return picked && waits ? wait_for(*picked) : picked;
    }

private:
    // The supervisor that did not answer may have heard the request all the same, and some may be gone by
    // now.
    Result<json> add_those_of_before(Result<json> answer) {
        if (!answer && answer.error().code != ErrorCode::not_found) return answer;
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

    Result<json> wait_for(const json& picked) {
        ipc::WaitParams wait;
        for (const json& operation : picked.at("operations"))
            wait.selector.ids.push_back(operation.value("id", OperationId{0}));
        params_.selector = wait.selector;
        bool again = false;
        return connection_.ask("operation.wait", [&] {
            // A request may have died with its supervisor on the way to the shim. Saying it twice does no
            // harm; should this one be lost as well, the wait is, too.
            if (std::exchange(again, true)) (void)connection_.send("operation.cancel", ipc::encode(params_));
            return ipc::encode(wait);
        });
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
        const std::string began = ipc::format_timestamp(began_);
        const json us{{"uid", ::getuid()}, {"pid", ::getpid()}};
        for (const json& operation : answer->at("operations")) {
            const json cancel = operation.value("cancel", json());
            // A process of long ago may have had our number.
            if (cancel.is_object() && cancel.value("by", json()) == us &&
                cancel.value("requested_at", "") >= began)
                ours.emplace(operation.value("id", OperationId{0}), operation);
        }
        return ours;
    }

    LastingConnection& connection_;
    ipc::CancelParams params_;
    const Selector original_;
    const Clock::time_point started_ = Clock::now();
    int asked_ = 0;
    const WallTime began_ = wall_now();
};

}  // namespace

Result<json> cancel_until_gone(const Globals& globals, ipc::CancelParams params) {
    auto connection = LastingConnection::open(globals, LastingConnection::WhenLost::start_one);
    if (!connection) return std::unexpected(connection.error());
    return Canceller(*connection, std::move(params)).run();
}

}  // namespace cancelable::cli
