#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "engine/process/error.h"
#include "ipc/json_writer.h"

namespace cancelable::ipc {

// The answer to the request of that number. An error of the other side keeps its message, as one sentence,
// and its kind.
struct Response {
    std::uint64_t request = 0;
    Result<nlohmann::json> result;
};

// What the supervisor tells unasked, such as `operation.ended`.
struct Notification {
    std::string method;
    nlohmann::json params;
};

using Message = std::variant<Response, Notification>;

// A connection to the supervisor, for one thread. No threads, no loop: every call returns when its work is
// done.
//
// A lost connection shows as ErrorCode::unreachable from whatever is called next, and stays lost: connect
// anew.
class Client {
public:
    using Deadline = std::chrono::steady_clock::time_point;

    // ErrorCode::unreachable where nobody listens: os_errno is ENOENT or ECONNREFUSED where a supervisor may
    // be started. ErrorCode::limit for a path that no socket can have.
    static Result<Client> connect(const std::string& socket_path);

    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    // Sends a request and waits for its answer. `descriptors` stay the caller's and are meant in the order of
    // params.descriptors. Other messages that arrive meanwhile are kept for receive(). Past the deadline:
    // ErrorCode::limit; the answer is then dropped when it comes.
    Result<nlohmann::json> call(std::string_view method, const nlohmann::json& params,
                                std::span<const int> descriptors = {},
                                std::optional<Deadline> deadline = std::nullopt);

    // As call(), without a deadline: the result as the text that it came as, for who hands it on.
    Result<std::string> call_text(std::string_view method, const nlohmann::json& params);

    // Sends a request without waiting for the answer, which receive() gives: its Response::request is the
    // number returned here. Blocks only while the socket is full.
    Result<std::uint64_t> send(std::string_view method, const nlohmann::json& params,
                               std::span<const int> descriptors = {});
    Result<std::uint64_t> send_text(std::string_view method, const JsonText& params,
                                    std::span<const int> descriptors = {});

    // The next message that is there, or nothing; never blocks. Call it until it gives nothing before polling
    // fd(): messages may have been read already.
    Result<std::optional<Message>> receive();

    // To poll for reading.
    int fd() const noexcept;

private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable::ipc
