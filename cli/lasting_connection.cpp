#include "cli/lasting_connection.h"

#include <poll.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/report.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// A supervisor that dies of our very question is not started for ever. One that is killed now and then, while
// we wait for a long time, is another matter: only connections count that were short and brought nothing.
constexpr int kMaxRenewals = 100;
constexpr std::chrono::seconds kShort{1};

// How long the place of a supervisor that was told to leave is left to whoever told it.
constexpr milliseconds kDeference{2000};

constexpr milliseconds kShortestPause{5};
constexpr milliseconds kLongestPause{200};

}  // namespace

LastingConnection::LastingConnection(const Globals& globals, WhenLost when_lost)
    : globals_(&globals), when_lost_(when_lost) {}

Result<LastingConnection> LastingConnection::open(const Globals& globals, WhenLost when_lost,
                                                  WhenAbsent when_absent) {
    LastingConnection connection(globals, when_lost);
    if (when_absent == WhenAbsent::fail && when_lost == WhenLost::await_one) {
        connection.lose();
        auto tried = connection.try_again();
        if (!tried) return std::unexpected(tried.error());
        connection.renewals_ = 0;
        return connection;
    }
    auto client = connect_to_supervisor(globals, when_absent);
    if (!client) return std::unexpected(client.error());
    connection.client_ = std::move(*client);
    return connection;
}

Result<std::optional<LastingConnection::Happening>> LastingConnection::next() {
    while (client_) {
        auto received = client_->receive();
        if (!received && received.error().code != ErrorCode::unreachable)
            return std::unexpected(received.error());
        if (!received) {
            lose();
            break;
        }
        if (!*received) return std::nullopt;
        const auto* notification = std::get_if<ipc::Notification>(&**received);
        if (notification != nullptr && notification->method == "supervisor.leaving") {
            leaving_ = true;
            continue;
        }
        renewals_ = 0;
        return Happening(std::move(**received));
    }
    const auto found = try_again();
    if (!found) return std::unexpected(found.error());
    if (!*found) return std::nullopt;
    if (globals_->verbose) report_notice(*globals_, "the supervisor went away; found the next one");
    return Happening(Renewed());
}

Result<std::uint64_t> LastingConnection::send(std::string_view method, const json& params,
                                              std::span<const int> descriptors) {
    return send_text(method, ipc::to_text(params), descriptors);
}

Result<std::uint64_t> LastingConnection::send_text(std::string_view method, const ipc::JsonText& params,
                                                   std::span<const int> descriptors) {
    if (!client_) return 0;
    auto sent = client_->send_text(method, params, descriptors);
    // What the supervisor said before it went is still to be read: next() does, and then sees the loss.
    if (!sent && sent.error().code == ErrorCode::unreachable) return 0;
    return sent;
}

Result<json> LastingConnection::ask(std::string_view method, const std::function<json()>& params) {
    return ask_text(method, [&] { return ipc::to_text(params()); }, {});
}

Result<json> LastingConnection::ask_text(std::string_view method,
                                         const std::function<ipc::JsonText()>& params,
                                         std::span<const int> descriptors) {
    for (;;) {
        const auto sent = send_text(method, params(), descriptors);
        if (!sent) return std::unexpected(sent.error());
        for (bool renewed = false; !renewed;) {
            auto happened = next();
            if (!happened) return std::unexpected(happened.error());
            if (!*happened) {
                pollfd watched{fd(), POLLIN, 0};
                (void)::poll(&watched, 1, poll_timeout());
                continue;
            }
            renewed = std::holds_alternative<Renewed>(**happened);
            if (renewed) continue;
            auto* response = std::get_if<ipc::Response>(&std::get<ipc::Message>(**happened));
            if (response != nullptr && response->request == *sent) return std::move(response->result);
        }
    }
}

Result<bool> LastingConnection::await_next(milliseconds patience) {
    const auto deadline = Clock::now() + patience;
    while (Clock::now() < deadline) {
        const auto happened = next();
        if (!happened) return std::unexpected(happened.error());
        if (*happened && std::holds_alternative<Renewed>(**happened)) return true;
        if (*happened) continue;
        pollfd watched{fd(), POLLIN, 0};
        (void)::poll(&watched, 1, client_ ? 200 : poll_timeout());
    }
    return false;
}

int LastingConnection::poll_timeout() const noexcept {
    if (client_) return -1;
    const auto left = std::chrono::ceil<milliseconds>(next_try_ - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void LastingConnection::lose() {
    client_.reset();
    lost_at_ = Clock::now();
    if (lost_at_ - found_at_ > kShort) renewals_ = 0;
    // One that goes again as soon as it has come is not asked in a hurry.
    pause_ = kShortestPause;
    next_try_ = lost_at_ + std::min(20 * renewals_ * milliseconds(1), kLongestPause);
}

Result<bool> LastingConnection::try_again() {
    if (Clock::now() < next_try_) return false;
    auto found = find_supervisor(*globals_);
    if (!found) return std::unexpected(found.error());
    if (*found) return take(std::move(**found));
    if (when_lost_ == WhenLost::await_one) return pause_and_retry();
    if (leaving_ && Clock::now() < lost_at_ + kDeference) return pause_and_retry();
    auto started = connect_to_supervisor(*globals_);
    if (!started) return std::unexpected(started.error());
    return take(std::move(*started));
}

Result<bool> LastingConnection::take(ipc::Client client) {
    if (++renewals_ > kMaxRenewals)
        return failure(ErrorCode::unreachable, "the supervisor goes away again and again: see its log");
    client_ = std::move(client);
    found_at_ = Clock::now();
    leaving_ = false;
    return true;
}

bool LastingConnection::pause_and_retry() noexcept {
    next_try_ = Clock::now() + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
    return false;
}

}  // namespace cancelable::cli
