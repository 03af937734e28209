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

// How long a Ctrl-Z waits for somebody who can pause the operation.
constexpr std::chrono::seconds kPausePatience{2};

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
                       const TerminalModes& modes, MakeRequest make_request, std::span<const int> descriptors)
    : connection_(std::move(connection)),
      signals_(signals),
      progress_(progress),
      modes_(modes),
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
        if (auto told = send_suspension(); !told) return std::unexpected(told.error());
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
    // Whether the last supervisor has passed a pause or a resume on, nobody knows: so it is said again.
    if (std::exchange(resume_request_, 0) != 0) resume_is_due_ = true;
    pause_request_ = 0;
    // It may not have heard of them; saying it twice does no harm.
    polite_sent_ = hurry_sent_ = false;
    const auto sent =
        id_ ? connection_.send("operation.wait", ipc::encode(wait_for(*id_, progress_.is_possible())))
            : connection_.send_text("operation.run", make_request_(), descriptors_);
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
    const json encoded = notification.params.value("operation", json::object());
    // Of one that has completed no more is told.
    if (encoded.value("status", std::string()) == to_string(Status::completed) && id_ &&
        encoded.value("id", OperationId{0}) == *id_) {
        take_completed();
        return {};
    }
    auto operation = ipc::decode_operation(encoded);
    if (!operation) return std::unexpected(operation.error());
    take(std::move(*operation));
    return {};
}

Result<> Foreground::handle_response(const ipc::Response& response) {
    // The operation is still, or cannot be made so: in both cases it is our turn.
    if (pause_request_ != 0 && response.request == pause_request_) return suspend();
    if (response.request == resume_request_) resume_request_ = 0;
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
    const auto id = response.result->find("id");
    if (id == response.result->end() || !id->is_number_unsigned())
        return failure(ErrorCode::protocol, "the supervisor does not tell the id of an operation");
    id_ = id->get<OperationId>();
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

void Foreground::take_completed() {
    Operation operation;
    OperationSpec spec;
    spec.id = *id_;
    operation.spec = std::make_shared<const OperationSpec>(std::move(spec));
    operation.status = Status::completed;
    operation.exit = Exit{};
    ended_ = std::move(operation);
}

void Foreground::take(Operation operation) {
    id_ = operation.id();
    if (is_settled(operation)) ended_ = std::move(operation);
}

// What the tokens say by now. Before the id is known, or while there is nobody to tell, they only keep it.
Result<> Foreground::send_signals() {
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
        ipc::SignalParams params;
        params.selector.ids = {*id_};
        params.signal = signal_number;
        const auto sent = connection_.send("operation.signal", ipc::encode(params));
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

Result<> Foreground::send_suspension() {
    using Clock = std::chrono::steady_clock;
    if (!suspension_.is_asked())
        stop_by_.reset();
    else if (!stop_by_)
        stop_by_ = Clock::now() + kPausePatience;
    const bool can_tell = id_ && connection_.is_up();
    // An impatient one, or nobody to tell: the terminal is the user's now, not later.
    if (pause_request_ != 0 && suspension_.count() > stops_seen_) return suspend();
    if (!can_tell) return stop_by_ && Clock::now() >= *stop_by_ ? suspend() : Result<>{};
    if (std::exchange(resume_is_due_, false))
        if (auto sent = send_to_operation("operation.resume", resume_request_); !sent) return sent;
    if (pause_request_ != 0 || !suspension_.is_asked()) return {};
    stops_seen_ = suspension_.count();
    return send_to_operation("operation.pause", pause_request_);
}

Result<> Foreground::send_to_operation(std::string_view method, std::uint64_t& request) {
    ipc::PauseParams params;
    params.selector.ids = {*id_};
    const auto sent = connection_.send(method, ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    request = *sent;
    return {};
}

// The command may have set the terminal to its liking; while we are stopped it is the shell's.
Result<> Foreground::suspend() {
    pause_request_ = 0;
    stop_by_.reset();
    progress_.hide();
    const auto modes = modes_.current();
    if (modes) modes_.restore();
    suspension_.stop();
    if (modes) modes_.set(*modes);
    progress_.show_again();
    resume_is_due_ = true;
    return {};
}

void Foreground::wait_for_something() {
    pollfd watched[] = {{connection_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}};
    // Interrupted or not, everybody is asked what there is.
    int timeout = next_by_ && connection_.is_up() ? 200 : connection_.poll_timeout();
    // For whoever waits to be stopped and has told nobody yet.
    if (stop_by_ && pause_request_ == 0 && (timeout < 0 || timeout > 200)) timeout = 200;
    (void)::poll(watched, 2, timeout);
    if (watched[1].revents != 0) signals_.drain();
}

}  // namespace cancelable::cli
