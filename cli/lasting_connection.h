#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "cli/connect.h"
#include "cli/globals.h"
#include "ipc/client.h"

namespace cancelable::cli {

// A connection that outlives supervisors: when one is lost the next is found, and whoever waits asks again.
//
// A supervisor that was killed is replaced at once by who needs an answer. One that says that it leaves, as
// `supervisor restart` makes it, leaves the place to somebody else for a moment. Who only watches starts none
// and waits for as long as it takes.
class LastingConnection {
public:
    enum class WhenLost : std::uint8_t { start_one, await_one };

    // Where `when_lost` is await_one and nobody listens yet, it begins as one that was lost.
    static Result<LastingConnection> open(const Globals& globals, WhenLost when_lost,
                                          WhenAbsent when_absent = WhenAbsent::start_one);

    // There is another supervisor, which has heard none of the requests so far: ask again.
    struct Renewed {};
    using Happening = std::variant<ipc::Message, Renewed>;

    // What has come, or nothing: then poll fd() for reading, for poll_timeout() at most. Blocks only while it
    // starts a supervisor. An error is final.
    Result<std::optional<Happening>> next();

    // The request's number, as Client::send() gives it. A loss is no error: the number is then 0, and next()
    // has the news.
    Result<std::uint64_t> send(std::string_view method, const nlohmann::json& params,
                               std::span<const int> descriptors = {});
    Result<std::uint64_t> send_text(std::string_view method, const ipc::JsonText& params,
                                    std::span<const int> descriptors = {});

    // Sends a request and waits for its answer, asking every next supervisor anew with what `params` gives
    // then. Other messages are dropped.
    Result<nlohmann::json> ask(std::string_view method, const std::function<nlohmann::json()>& params);
    Result<nlohmann::json> ask_text(std::string_view method, const std::function<ipc::JsonText()>& params,
                                    std::span<const int> descriptors);

    // Waits until the supervisor, which has said that it is about to leave, has left and another one is
    // there. False where it takes longer than that.
    Result<bool> await_next(std::chrono::milliseconds patience);

    bool is_up() const noexcept { return client_.has_value(); }
    int fd() const noexcept { return client_ ? client_->fd() : -1; }  // poll() passes over -1
    int poll_timeout() const noexcept;                                // -1: as long as it takes

    // Somebody has become impatient: nothing is left to others any more.
    void hurry() noexcept { leaving_ = false; }

private:
    using Clock = std::chrono::steady_clock;
    LastingConnection(const Globals& globals, WhenLost when_lost);
    void lose();
    Result<bool> try_again();
    Result<bool> take(ipc::Client client);
    bool pause_and_retry() noexcept;

    const Globals* globals_;
    WhenLost when_lost_;
    std::optional<ipc::Client> client_;
    bool leaving_ = false;  // the last supervisor said so
    int renewals_ = 0;      // since the last message, or the last connection that was not short
    Clock::time_point found_at_{};
    Clock::time_point lost_at_{};
    Clock::time_point next_try_{};
    std::chrono::milliseconds pause_{};
};

}  // namespace cancelable::cli
