#include "cli/follow_events.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <variant>

#include "cli/lasting_connection.h"
#include "cli/output.h"
#include "cli/render/events.h"
#include "cli/report.h"
#include "cli/terminal/signals.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// So many ends are kept in mind, to be told only once.
constexpr std::size_t kEndsRemembered = 4096;

constexpr std::size_t kEverything = 1'000'000'000;

class EventFollower {
public:
    EventFollower(const Globals& globals, LastingConnection connection, SignalTokens& signals,
                  ipc::SubscribeParams params, bool as_json)
        : globals_(globals),
          connection_(std::move(connection)),
          signals_(signals),
          params_(std::move(params)),
          as_json_(as_json) {}

    Result<int> run() {
        if (!connection_.is_up()) {
            say_waiting();
            // Whatever a supervisor tells that comes later is from now on.
            if (!params_.after && !params_.replay) params_.replay = kEverything;
        }
        if (auto begun = subscribe(); !begun) return std::unexpected(begun.error());
        for (;;) {
            const bool was_up = connection_.is_up();
            auto happened = connection_.next();
            if (!happened) return std::unexpected(happened.error());
            if (was_up && !connection_.is_up()) say_waiting();
            if (signals_.polite().is_cancelled()) return 128 + signals_.polite_signal();
            if (!*happened) {
                if (const int status = wait(); status != kExitOk) return status;
                continue;
            }
            const auto status = take(**happened);
            if (!status) return std::unexpected(status.error());
            if (*status) return **status;
        }
    }

private:
    // An exit status, where it ends here.
    using Step = Result<std::optional<int>>;

    Result<> subscribe() {
        const auto sent = connection_.send("events.subscribe", ipc::encode(params_));
        if (!sent) return std::unexpected(sent.error());
        request_ = *sent;
        return {};
    }

    Step take(const LastingConnection::Happening& happening) {
        if (std::holds_alternative<LastingConnection::Renewed>(happening)) {
            if (auto asked = subscribe(); !asked) return std::unexpected(asked.error());
            return std::nullopt;
        }
        const auto& message = std::get<ipc::Message>(happening);
        if (const auto* response = std::get_if<ipc::Response>(&message)) {
            if (response->request != request_) return std::nullopt;
            if (!response->result) return std::unexpected(response->result.error());
            // From here on nothing is to be missed, even before the first event has come.
            if (!params_.after && !params_.replay)
                params_.after = response->result->value("sequence", std::uint64_t{0});
            return std::nullopt;
        }
        const auto& notification = std::get<ipc::Notification>(message);
        if (notification.method == "event") return event(notification.params.value("event", json::object()));
        if (notification.method == "events.missed") return missed(notification.params);
        if (notification.method == "events.end") return std::optional(kExitOk);
        return std::nullopt;
    }

    Step event(const json& event) {
        params_.after = event.value("sequence", std::uint64_t{0});
        params_.replay.reset();
        if (is_told_already(event)) return std::nullopt;
        return out(as_json_ ? as_line(event) : lines_.line(event, view_of(globals_)));
    }

    Step missed(json missed) {
        params_.after = missed.value("to", std::uint64_t{0});
        params_.replay.reset();
        if (!as_json_) return out(EventLines::missed_line(missed, view_of(globals_)));
        missed.erase("subscription");
        missed["kind"] = "missed";
        return out(as_line(missed));
    }

    // A supervisor that was killed just after it had told of an end leaves that end for the next one to find.
    bool is_told_already(const json& event) {
        if (event.value("kind", "") != "ended") return false;
        const auto id = event.value("id", OperationId{0});
        if (std::ranges::find(ends_, id) != ends_.end()) return event.value("meanwhile", false);
        ends_.push_back(id);
        if (ends_.size() > kEndsRemembered) ends_.pop_front();
        return false;
    }

    static std::string as_line(const json& object) {
        return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    }

    static Step out(const std::string& line) {
        const int failed = print(line);
        return failed != kExitOk ? std::optional(failed) : std::nullopt;
    }

    void say_waiting() const {
        report_notice(globals_, "there is no supervisor now; waiting for the next one");
    }

    // An exit status where the reader has gone away.
    int wait() const {
        pollfd watched[] = {
            {connection_.fd(), POLLIN, 0}, {signals_.wake_fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
        (void)::poll(watched, 3, connection_.poll_timeout());
        signals_.drain();
        return (watched[2].revents & POLLERR) != 0 ? 128 + SIGPIPE : kExitOk;
    }

    const Globals& globals_;
    LastingConnection connection_;
    SignalTokens& signals_;
    ipc::SubscribeParams params_;
    bool as_json_;
    EventLines lines_;
    std::uint64_t request_ = 0;
    std::deque<OperationId> ends_;
};

}  // namespace

int follow_events(const Globals& globals, ipc::SubscribeParams params, bool as_json) {
    const auto when_lost = LastingConnection::WhenLost::await_one;
    if (!params.follow) {
        // What is remembered is in a supervisor's memory: without one there is nothing.
        if (const auto client = connect_to_supervisor(globals, WhenAbsent::fail); !client)
            return report(client.error());
    }
    auto connection = LastingConnection::open(globals, when_lost, WhenAbsent::fail);
    if (!connection) return report(connection.error());
    auto signals = SignalTokens::install();
    if (!signals) return report(signals.error());
    const auto status =
        EventFollower(globals, std::move(*connection), **signals, std::move(params), as_json).run();
    return status ? *status : report(status.error());
}

}  // namespace cancelable::cli
