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
                       MakeRequest make_request, std::span<const int> descriptors)
    : connection_(std::move(connection)),
      signals_(signals),
      progress_(progress),
      make_request_(std::move(make_request)),
      descriptors_(descriptors) {}

// Everything that is there is read before the next poll: messages may have come in one piece.
Result<Operation> Foreground::run() {
    if (auto asked = ask(); !asked) return std::unexpected(asked.error());
    for (;;) {
        const auto happened = connection_.next();
        if (!happened) return std::unexpected(happened.error());
        if (*happened) {
            const auto* message = std::get_if<ipc::Message>(&**happened);
            if (auto handled = message != nullptr ? handle(*message) : ask(); !handled)
                return std::unexpected(handled.error());
            if (ended_) return std::move(*ended_);
            continue;
        }
        if (auto told = send_signals(); !told) return std::unexpected(told.error());
        // The lifeline closes when we leave, and the operation ends by that; no need to wait for a
        // supervisor.
        if (!connection_.is_up() && signals_.hurry().is_cancelled())
            return failure(ErrorCode::unreachable, "the connection to the supervisor was lost");
        if (next_by_ && (signals_.polite().is_cancelled() || std::chrono::steady_clock::now() > *next_by_))
            return failure(ErrorCode::stopping,
                           "the supervisor is about to leave, and nothing was started: try again");
        wait_for_something();
    }
}

// For the operation where it is known, else for its start.
Result<> Foreground::ask() {
    run_request_ = wait_request_ = 0;
    next_by_.reset();
    // It may not have heard of them; saying it twice does no harm.
    polite_sent_ = hurry_sent_ = false;
    const auto sent =
        id_ ? connection_.send("operation.wait", ipc::encode(wait_for(*id_, progress_.is_possible())))
            : connection_.send("operation.run", make_request_(), descriptors_);
    if (!sent) return std::unexpected(sent.error());
    (id_ ? wait_request_ : run_request_) = *sent;
    return {};
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
    const bool counts = response.request == run_request_ || response.request == wait_request_;
    // A cancelation or a signal that came too late for the operation is no failure of ours.
    if (!counts) return {};
    if (!response.result && response.result.error().code == ErrorCode::stopping) {
        // It closes the connection when it leaves, and then there is another one to ask.
        next_by_ = std::chrono::steady_clock::now() + kConnectPatience;
        return {};
    }
    if (!response.result) return std::unexpected(response.result.error());
    if (response.request == wait_request_) return take_waited_for(*response.result);
    auto operation = ipc::decode_operation(*response.result);
    if (!operation) return std::unexpected(operation.error());
    take(std::move(*operation));
    return {};
}

Result<> Foreground::take_waited_for(const json& result) {
    const json operations = result.value("operations", json::array());
    if (operations.empty())
        return failure(ErrorCode::protocol, "the supervisor does not tell how the operation ended");
    auto operation = ipc::decode_operation(operations.front());
    if (!operation) return std::unexpected(operation.error());
    take(std::move(*operation));
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

void Foreground::wait_for_something() const {
    pollfd watched[] = {{connection_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
    // Interrupted or not, everybody is asked what there is.
    (void)::poll(watched, 2, next_by_ && connection_.is_up() ? 200 : connection_.poll_timeout());
}

}  // namespace cancelable::cli
