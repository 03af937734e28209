#include "cli/foreground.h"

#include <fmt/format.h>
#include <poll.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "cli/connect.h"
#include "cli/report.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// A supervisor that dies of our very question is not started for ever.
constexpr int kMaxReconnects = 5;

bool is_settled(const Operation& operation) noexcept {
    return is_ended(operation.status) || (operation.cancelation && !operation.cancelation->survivors.empty());
}

ipc::WaitParams wait_for(OperationId id) {
    ipc::WaitParams params;
    params.selector.ids = {id};
    return params;
}

}  // namespace

Foreground::Foreground(const Globals& globals, ipc::Client client, SignalTokens& signals, std::string key)
    : globals_(globals), client_(std::move(client)), signals_(signals), key_(std::move(key)) {}

Result<Operation> Foreground::run(json request, std::span<const int> descriptors) {
    auto sent = client_.send("operation.run", std::move(request), descriptors);
    Result<> going = sent ? Result<>() : std::unexpected(sent.error());
    if (sent) run_request_ = *sent;
    for (;;) {
        if (going) going = pump();
        if (ended_) return std::move(*ended_);
        if (going) going = send_signals();
        if (going) {
            wait_for_something();
            continue;
        }
        if (going.error().code != ErrorCode::unreachable) return std::unexpected(going.error());
        // The lifeline closes when we leave, and the operation ends by that; no need to wait for a
        // supervisor.
        if (signals_.hurry().is_cancelled()) return std::unexpected(going.error());
        going = reconnect();
        if (!going) return std::unexpected(going.error());
    }
}

// Everything that is there is read before the next poll: messages may have come in one piece.
Result<> Foreground::pump() {
    while (!ended_) {
        auto received = client_.receive();
        if (!received) return std::unexpected(received.error());
        if (!*received) return {};
        reconnects_ = 0;
        if (auto handled = handle(**received); !handled) return handled;
    }
    return {};
}

Result<> Foreground::handle(const ipc::Message& message) {
    if (const auto* response = std::get_if<ipc::Response>(&message)) return handle_response(*response);
    const auto& notification = std::get<ipc::Notification>(message);
    if (notification.method != "operation.ended") return {};
    auto operation = ipc::decode_operation(notification.params.value("operation", json()));
    if (!operation) return std::unexpected(operation.error());
    take(std::move(*operation));
    return {};
}

Result<> Foreground::handle_response(const ipc::Response& response) {
    const bool counts = response.request == run_request_ || response.request == wait_request_ ||
                        response.request == find_request_;
    // A cancelation or a signal that came too late for the operation is no failure of ours.
    if (!counts) return {};
    if (!response.result) return std::unexpected(response.result.error());
    if (response.request == run_request_) {
        auto operation = ipc::decode_operation(*response.result);
        if (!operation) return std::unexpected(operation.error());
        take(std::move(*operation));
        return {};
    }
    return take_listed(*response.result);
}

// The answer to a search by key, or to a wait: one operation, or none.
Result<> Foreground::take_listed(const json& result) {
    const json operations = result.value("operations", json::array());
    if (operations.empty())
        return failure(ErrorCode::protocol,
                       "the supervisor ended before it had started the command: it was not run");
    auto operation = ipc::decode_operation(operations.front());
    if (!operation) return std::unexpected(operation.error());
    const bool was_known = id_.has_value();
    take(std::move(*operation));
    if (was_known || ended_) return {};
    const auto sent = client_.send("operation.wait", ipc::encode(wait_for(*id_)));
    if (!sent) return std::unexpected(sent.error());
    wait_request_ = *sent;
    return {};
}

void Foreground::take(Operation operation) {
    id_ = operation.id();
    if (is_settled(operation)) ended_ = std::move(operation);
}

// What the tokens say by now. Before the id is known they only keep it.
Result<> Foreground::send_signals() {
    signals_.drain();
    if (!id_) return {};
    if (signals_.polite().is_cancelled() && !polite_sent_) {
        if (auto sent = send_cancel(signals_.polite_signal(), false); !sent) return sent;
        polite_sent_ = true;
    }
    if (signals_.hurry().is_cancelled() && !hurry_sent_) {
        if (auto sent = send_cancel(0, true); !sent) return sent;
        hurry_sent_ = true;
    }
    for (const int signal_number : signals_.take_passed_on()) {
        const auto sent =
            client_.send("operation.signal", ipc::encode(ipc::SignalParams{*id_, signal_number}));
        if (!sent) return std::unexpected(sent.error());
    }
    return {};
}

Result<> Foreground::send_cancel(int signal_number, bool now) {
    ipc::CancelParams params;
    params.selector.ids = {*id_};
    params.request.reason = CancelationReason::signal;
    params.request.now = now;
    if (!now) params.request.signal = signal_number;
    params.wait = false;
    const auto sent = client_.send("operation.cancel", ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    return {};
}

Result<> Foreground::reconnect() {
    if (++reconnects_ > kMaxReconnects)
        return failure(ErrorCode::unreachable, "the supervisor goes away again and again: see its log");
    auto client = connect_to_supervisor(globals_);
    if (!client) return std::unexpected(client.error());
    client_ = std::move(*client);
    run_request_ = wait_request_ = find_request_ = 0;
    // It may not have heard of them; saying it twice does no harm.
    polite_sent_ = hurry_sent_ = false;
    if (globals_.verbose) report_notice(globals_, "the supervisor went away; found it again");

    std::optional<json> search;
    if (!id_) {
        ipc::ListParams params;
        params.all = true;
        params.key = key_;
        search = ipc::encode(params);
    }
    const auto sent = search ? client_.send("operation.list", std::move(*search))
                             : client_.send("operation.wait", ipc::encode(wait_for(*id_)));
    // Lost again already: the next call says so, and we are back here.
    if (sent) (search ? find_request_ : wait_request_) = *sent;
    return {};
}

void Foreground::wait_for_something() const {
    pollfd watched[] = {{client_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
    // Interrupted or not, everybody is asked what there is.
    (void)::poll(watched, 2, -1);
}

}  // namespace cancelable::cli
