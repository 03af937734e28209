#include "ipc/client.h"

#include <poll.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/process/fd.h"
#include "ipc/framing.h"
#include "ipc/json_text.h"
#include "ipc/rpc.h"
#include "ipc/socket.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;
using Deadline = Client::Deadline;

Error lost(int os_errno = 0) {
    return Error{ErrorCode::unreachable, "the connection to the supervisor was lost", os_errno};
}

// Waits until the descriptor is ready. False: the deadline has passed.
Result<bool> wait_for(int fd, short events, const std::optional<Deadline>& deadline) {
    while (true) {
        int timeout = -1;
        if (deadline) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
            timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
        }
        pollfd waiting{fd, events, 0};
        const int ready = ::poll(&waiting, 1, timeout);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return system_error("cannot wait for the supervisor");
        if (deadline && std::chrono::steady_clock::now() >= *deadline) return false;
    }
}

Error late() {
    return Error{ErrorCode::limit, "the supervisor did not answer in time", 0};
}

}  // namespace

struct Client::Impl {
    explicit Impl(UniqueFd connected) : fd(std::move(connected)) {}

    // The connection is of no use from now on, and this is why.
    std::unexpected<Error> broke(Error error);
    Result<> usable() const;
    Result<> send_line(std::string line, std::span<const int> descriptors,
                       const std::optional<Deadline>& deadline);
    Result<bool> read_more();
    Error explain_loss(int os_errno);
    Result<std::optional<Message>> next_message();
    Result<std::optional<Message>> message_of(std::string_view line);

    UniqueFd fd;
    FrameReader reader;
    std::uint64_t last_request = 0;
    std::deque<Message> kept;              // read while call() waited for something else
    std::vector<std::uint64_t> abandoned;  // their answers are dropped
    std::optional<Error> broken;           // once lost, always lost
};

std::unexpected<Error> Client::Impl::broke(Error error) {
    broken = error;
    return std::unexpected(std::move(error));
}

Result<> Client::Impl::usable() const {
    if (broken) return std::unexpected(*broken);
    return {};
}

Result<> Client::Impl::send_line(std::string line, std::span<const int> descriptors,
                                 const std::optional<Deadline>& deadline) {
    if (line.size() > kMaxMessageBytes)
        return failure(ErrorCode::limit, "the request is " + std::to_string(line.size()) +
                                             " bytes long, and a message is at most " +
                                             std::to_string(kMaxMessageBytes));
    line.push_back('\n');
    std::string_view rest = line;
    while (!rest.empty()) {
        const auto sent = send_some(fd.get(), rest, descriptors);
        if (!sent && sent.error().code == ErrorCode::limit) return std::unexpected(sent.error());
        if (!sent) return std::unexpected(explain_loss(sent.error().os_errno));
        if (*sent > 0) {
            descriptors = {};
            rest.remove_prefix(*sent);
            continue;
        }
        const auto ready = wait_for(fd.get(), POLLOUT, deadline);
        if (!ready) return std::unexpected(ready.error());
        // Half a message is on its way, and nothing else can follow it.
        if (!*ready) return broke(late());
    }
    return {};
}

// One read. False: nothing was there.
Result<bool> Client::Impl::read_more() {
    const auto progress = reader.read_from(fd.get());
    if (!progress && progress.error().code == ErrorCode::system)
        return broke(lost(progress.error().os_errno));
    if (!progress) return broke(progress.error());
    if (*progress == FrameReader::Progress::ended) return broke(lost());
    return *progress == FrameReader::Progress::read;
}

// The next of the messages that have been read.
Result<std::optional<Message>> Client::Impl::next_message() {
    while (const auto line = reader.next()) {
        auto message = message_of(*line);
        if (!message || *message) return message;
    }
    return std::nullopt;
}

// Nothing for an answer that nobody waits for any more.
Result<std::optional<Message>> Client::Impl::message_of(std::string_view line) {
    std::optional<json> message = parse_json(line);
    const auto nonsense = [&] {
        return broke({ErrorCode::protocol, "the supervisor sent something that is no message", 0});
    };
    if (!message || !message->is_object()) return nonsense();
    if (const auto method = message->find("method"); method != message->end()) {
        if (!method->is_string()) return nonsense();
        Notification notification{method->get<std::string>(), json::object()};
        if (const auto params = message->find("params"); params != message->end())
            notification.params = std::move(*params);
        return Message(std::move(notification));
    }
    const auto error = message->find("error");
    const auto id = message->find("id");
    // An error without an id is about the connection, which the supervisor closes after it.
    if (error != message->end() && (id == message->end() || id->is_null())) return broke(from_rpc(*error));
    const auto result = message->find("result");
    if (id == message->end() || !id->is_number_unsigned() ||
        (error == message->end() && result == message->end()))
        return nonsense();
    Response response{id->get<std::uint64_t>(), json()};
    if (error != message->end())
        response.result = std::unexpected(from_rpc(*error));
    else
        response.result = std::move(*result);
    if (std::erase(abandoned, response.request) > 0) return std::nullopt;
    return Message(std::move(response));
}

// A supervisor that turns a connection away says why before it closes it, and what it sent last is still to
// be read.
Error Client::Impl::explain_loss(int os_errno) {
    while (true) {
        auto message = next_message();
        if (!message) return message.error();
        if (std::optional<Message>& found = *message) {
            kept.push_back(std::move(*found));
            continue;
        }
        const auto read = read_more();
        if (!read || !*read) return broke(lost(os_errno)).error();
    }
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const std::string& socket_path) {
    auto fd = connect_to(socket_path);
    if (!fd) return std::unexpected(fd.error());
    return Client(std::make_unique<Impl>(std::move(*fd)));
}

int Client::fd() const noexcept {
    return impl_->fd.get();
}

Result<json> Client::call(std::string_view method, const json& params, std::span<const int> descriptors,
                          std::optional<Deadline> deadline) {
    if (auto usable = impl_->usable(); !usable) return std::unexpected(usable.error());
    const std::uint64_t request = ++impl_->last_request;
    const auto sent =
        impl_->send_line(build_request(request, method, to_text(params)), descriptors, deadline);
    if (!sent) return std::unexpected(sent.error());
    while (true) {
        auto message = impl_->next_message();
        if (!message) return std::unexpected(message.error());
        if (std::optional<Message>& found = *message) {
            auto* response = std::get_if<Response>(&*found);
            if (response != nullptr && response->request == request) return std::move(response->result);
            impl_->kept.push_back(std::move(*found));
            continue;
        }
        const auto ready = wait_for(impl_->fd.get(), POLLIN, deadline);
        if (!ready) return std::unexpected(ready.error());
        if (!*ready) {
            impl_->abandoned.push_back(request);
            return std::unexpected(late());
        }
        if (const auto read = impl_->read_more(); !read) return std::unexpected(read.error());
    }
}

Result<std::string> Client::call_text(std::string_view method, const json& params) {
    const auto request = send(method, params);
    if (!request) return std::unexpected(request.error());
    const std::string id = std::to_string(*request);
    while (true) {
        while (const auto line = impl_->reader.next()) {
            if (member_text(*line, "id") == id)
                if (const auto result = member_text(*line, "result")) return std::string(*result);
            auto message = impl_->message_of(*line);
            if (!message) return std::unexpected(message.error());
            if (!*message) continue;
            const auto* response = std::get_if<Response>(&**message);
            if (response == nullptr || response->request != *request)
                impl_->kept.push_back(std::move(**message));
            else if (response->result)
                return response->result->dump();
            else
                return std::unexpected(response->result.error());
        }
        const auto ready = wait_for(impl_->fd.get(), POLLIN, std::nullopt);
        if (!ready) return std::unexpected(ready.error());
        if (const auto read = impl_->read_more(); !read) return std::unexpected(read.error());
    }
}

Result<std::uint64_t> Client::send(std::string_view method, const json& params,
                                   std::span<const int> descriptors) {
    return send_text(method, to_text(params), descriptors);
}

Result<std::uint64_t> Client::send_text(std::string_view method, const JsonText& params,
                                        std::span<const int> descriptors) {
    if (auto usable = impl_->usable(); !usable) return std::unexpected(usable.error());
    const std::uint64_t request = ++impl_->last_request;
    const auto sent = impl_->send_line(build_request(request, method, params), descriptors, std::nullopt);
    if (!sent) return std::unexpected(sent.error());
    return request;
}

Result<std::optional<Message>> Client::receive() {
    if (!impl_->kept.empty()) {
        Message message = std::move(impl_->kept.front());
        impl_->kept.pop_front();
        return message;
    }
    if (auto usable = impl_->usable(); !usable) return std::unexpected(usable.error());
    while (true) {
        auto message = impl_->next_message();
        if (!message || *message) return message;
        const auto read = impl_->read_more();
        if (!read) return std::unexpected(read.error());
        if (!*read) return std::nullopt;
    }
}

}  // namespace cancelable::ipc
