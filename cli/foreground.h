#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cli/lasting_connection.h"
#include "cli/terminal/modes.h"
#include "cli/terminal/progress_line.h"
#include "cli/terminal/signals.h"
#include "cli/terminal/suspension.h"
#include "engine/operation.h"

namespace cancelable::cli {

// Follows one operation from the request to its end, as the program that a shell waits for.
//
// One poll over two descriptors: the connection, and the signals' tokens. A lost supervisor is replaced and
// asked again under the same key: what was begun is never begun twice. One that is about to leave is waited
// for, and its successor asked.
//
// Ctrl-Z: the operation is paused, then this process stops itself; continued, it resumes the operation. A
// second Ctrl-Z stops it without waiting for the pause, and so does a first that finds no supervisor for a
// while.
class Foreground {
public:
    // The request of operation.run, which has a key; made anew each time that it is sent.
    using MakeRequest = std::function<ipc::JsonText()>;

    Foreground(LastingConnection connection, SignalTokens& signals, ProgressLine& progress,
               const TerminalModes& modes, MakeRequest make_request, std::span<const int> descriptors);

    // Sends the request and waits. The operation as it ended, or settled with survivors.
    Result<Operation> run();

private:
    Result<> handle(const ipc::Message& message);
    Result<> handle_notification(const ipc::Notification& notification);
    Result<> handle_response(const ipc::Response& response);
    Result<> take_waited_for(const nlohmann::json& result);
    void take(Operation operation);
    void take_completed();
    Result<> send_signals();
    Result<> send_cancel(int signal_number, bool now);
    Result<> ask();
    Result<> send_suspension();
    Result<> suspend();
    Result<> send_to_operation(std::string_view method, std::uint64_t& request);
    void wait_for_something();

    LastingConnection connection_;
    SignalTokens& signals_;
    ProgressLine& progress_;
    const TerminalModes& modes_;
    MakeRequest make_request_;
    std::span<const int> descriptors_;
    Suspension suspension_{signals_.wake_fd()};

    std::optional<OperationId> id_;
    std::optional<Operation> ended_;
    std::uint64_t run_request_ = 0;
    std::uint64_t wait_request_ = 0;
    std::optional<std::chrono::steady_clock::time_point> next_by_;  // the supervisor is about to leave
    std::uint64_t pause_request_ = 0;
    std::uint64_t resume_request_ = 0;
    std::optional<std::chrono::steady_clock::time_point> stop_by_;  // asked to, whoever can be told by then
    int stops_seen_ = 0;
    bool resume_is_due_ = false;
    bool polite_sent_ = false;
    bool hurry_sent_ = false;
};

}  // namespace cancelable::cli
