#include "cli/foreground.h"

#include <fmt/format.h>
#include <poll.h>

#include <csignal>

#include <nlohmann/json.hpp>
#include <utility>

#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

bool is_settled(const Operation& operation) noexcept {
    return is_ended(operation.status) || (operation.cancelation && !operation.cancelation->survivors.empty());
}

ipc::WaitParams wait_for(OperationId id, bool progress) {
    ipc::WaitParams params;
    params.selector.ids = {id};
    params.progress = progress;
    return params;
}

}  // namespace

Foreground::Foreground(LastingConnection connection, SignalTokens& signals, ProgressLine& progress,
                       std::string key)
    : connection_(std::move(connection)), signals_(signals), progress_(progress), key_(std::move(key)) {}

// Everything that is there is read before the next poll: messages may have come in one piece.
Result<Operation> Foreground::run(json request, std::span<const int> descriptors) {
    const auto sent = connection_.send("operation.run", std::move(request), descriptors);
    if (!sent) return std::unexpected(sent.error());
    run_request_ = *sent;
    for (;;) {
        const auto happened = connection_.next();
        if (!happened) return std::unexpected(happened.error());
        if (*happened) {
            const auto* message = std::get_if<ipc::Message>(&**happened);
            if (auto handled = message != nullptr ? handle(*message) : ask_again(); !handled)
                return std::unexpected(handled.error());
            if (ended_) return std::move(*ended_);
            continue;
        }
        if (auto told = send_signals(); !told) return std::unexpected(told.error());
        // The lifeline closes when we leave, and the operation ends by that; no need to wait for a
        // supervisor.
        if (!connection_.is_up() && signals_.hurry().is_cancelled())
            return failure(ErrorCode::unreachable, "the connection to the supervisor was lost");
        wait_for_something();
    }
}

Result<> Foreground::handle(const ipc::Message& message) {
    if (const auto* response = std::get_if<ipc::Response>(&message)) return handle_response(*response);
    return handle_notification(std::get<ipc::Notification>(message));
}

Result<> Foreground::handle_notification(const ipc::Notification& notification) {
    if (notification.method == "operation.progress") {
        // One that makes no sense is no reason to leave.
        if (auto progress = ipc::decode_shown_progress(notification.params.value("progress", json())))
            progress_.show(std::move(*progress));
        return {};
    }
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
    const auto sent =
        connection_.send("operation.wait", ipc::encode(wait_for(*id_, progress_.is_possible())));
    if (!sent) return std::unexpected(sent.error());
    wait_request_ = *sent;
    return {};
}

void Foreground::take(Operation operation) {
    id_ = operation.id();
    if (is_settled(operation)) ended_ = std::move(operation);
}

// What the tokens say by now. Before the id is known, or while there is nobody to tell, they only keep it.
Result<> Foreground::send_signals() {
    signals_.drain();
    if (signals_.polite().is_cancelled()) connection_.hurry();
    if (!id_ || !connection_.is_up()) return {};
    if (signals_.polite().is_cancelled() && !polite_sent_) {
        if (auto sent = send_cancel(signals_.polite_signal(), false); !sent) return sent;
        polite_sent_ = true;
    }
    if (signals_.hurry().is_cancelled() && !hurry_sent_) {
        if (auto sent = send_cancel(0, true); !sent) return sent;
        hurry_sent_ = true;
    }
    for (const int signal_number : signals_.take_passed_on()) {
        if (signal_number == SIGWINCH) progress_.resized();
        const auto sent =
            connection_.send("operation.signal", ipc::encode(ipc::SignalParams{*id_, signal_number}));
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
    const auto sent = connection_.send("operation.cancel", ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    return {};
}

Result<> Foreground::ask_again() {
    run_request_ = wait_request_ = find_request_ = 0;
    // It may not have heard of them; saying it twice does no harm.
    polite_sent_ = hurry_sent_ = false;
    if (id_) {
        const auto sent =
            connection_.send("operation.wait", ipc::encode(wait_for(*id_, progress_.is_possible())));
        if (!sent) return std::unexpected(sent.error());
        wait_request_ = *sent;
        return {};
    }
    ipc::ListParams search;
    search.all = true;
    search.key = key_;
    const auto sent = connection_.send("operation.list", ipc::encode(search));
    if (!sent) return std::unexpected(sent.error());
    find_request_ = *sent;
    return {};
}

void Foreground::wait_for_something() const {
    pollfd watched[] = {{connection_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
    // Interrupted or not, everybody is asked what there is.
    (void)::poll(watched, 2, connection_.poll_timeout());
}

}  // namespace cancelable::cli
