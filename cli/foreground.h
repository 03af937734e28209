#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "cli/lasting_connection.h"
#include "cli/terminal/progress_line.h"
#include "cli/terminal/signals.h"
#include "engine/operation.h"

namespace cancelable::cli {

// Follows one operation from the request to its end, as the program that a shell waits for.
//
// One poll over two descriptors: the connection, and the signals' tokens. A lost supervisor is replaced and
// asked again; what cannot be known any more is said.
class Foreground {
public:
    Foreground(LastingConnection connection, SignalTokens& signals, ProgressLine& progress, std::string key);

    // Sends the request and waits. The operation as it ended, or settled with survivors.
    Result<Operation> run(nlohmann::json request, std::span<const int> descriptors);

private:
    Result<> handle(const ipc::Message& message);
    Result<> handle_notification(const ipc::Notification& notification);
    Result<> handle_response(const ipc::Response& response);
    Result<> take_listed(const nlohmann::json& result);
    void take(Operation operation);
    Result<> send_signals();
    Result<> send_cancel(int signal_number, bool now);
    Result<> ask_again();
    void wait_for_something() const;

    LastingConnection connection_;
    SignalTokens& signals_;
    ProgressLine& progress_;
    std::string key_;

    std::optional<OperationId> id_;
    std::optional<Operation> ended_;
    std::uint64_t run_request_ = 0;
    std::uint64_t wait_request_ = 0;
    std::uint64_t find_request_ = 0;
    bool polite_sent_ = false;
    bool hurry_sent_ = false;
};

}  // namespace cancelable::cli
