#include "ipc/connection.h"

#include <poll.h>

#include <utility>

namespace cancelable::ipc {

namespace {

// Who sends many requests at once gets its turns like everybody else. Until they are handled no more are
// read, and it feels that in the end.
constexpr int kRequestsPerTurn = 8;

}  // namespace

Hold::Hold(const std::shared_ptr<Connection>& connection) : connection_(connection) {
    ++connection->holds_;
}

Hold::~Hold() {
    const auto connection = connection_.lock();
    if (!connection) return;
    --connection->holds_;
    connection->drop_if_done();
}

Answer::Answer(const std::shared_ptr<Connection>& connection, std::optional<RequestId> id)
    : hold_(connection), id_(std::move(id)) {}

Answer::~Answer() {
    error(RpcError{RpcCode::internal_error, "the request was dropped"});
}

void Answer::result_text(JsonText result) {
    const auto to = connection();
    const auto id = std::exchange(id_, std::nullopt);
    if (!to || !id || to->is_doomed()) return;
    std::string line = build_response(*id, std::move(result));
    if (line.size() < kMaxMessageBytes) return to->send(std::move(line));
    to->send(build_error(*id, to_rpc({ErrorCode::limit, "the answer is " + std::to_string(line.size()) +
                                                            " bytes long, and a message is at most " +
                                                            std::to_string(kMaxMessageBytes) +
                                                            ": ask for fewer operations"})));
}

void Answer::error(const RpcError& error) {
    const auto to = connection();
    const auto id = std::exchange(id_, std::nullopt);
    if (to && id && !to->is_doomed()) to->send(build_error(*id, error));
}

Connection::Connection(Loop& loop, UniqueFd fd, PeerCredentials peer, Handler& handler, OnState on_state)
    : fd_(std::move(fd)),
      peer_(peer),
      handler_(handler),
      on_state_(std::move(on_state)),
      next_turn_(loop,
                 [this] {
                     handle_lines();
                     update_interest();
                 }),
      watch_(loop, fd_.get(), [this](Readiness readiness) { on_ready(readiness); }) {
    update_interest();
}

void Connection::on_ready(Readiness readiness) {
    if (readiness.writable) flush();
    if (state_ == State::open && (readiness.readable || readiness.hung_up)) read_once();
    update_interest();
}

void Connection::read_once() {
    const auto progress = reader_.read_from(fd_.get());
    if (!progress) return fail(progress.error());
    if (*progress == FrameReader::Progress::ended) return read_ended();
    handle_lines();
}

void Connection::handle_lines() {
    backlog_ = false;
    for (int i = 0; i < kRequestsPerTurn && state_ == State::open; ++i) {
        const auto line = reader_.next();
        if (!line) return;
        handle_line(*line);
    }
    backlog_ = state_ == State::open;
    if (backlog_) next_turn_.start(std::chrono::milliseconds(0));
}

void Connection::read_ended() {
    become(State::half_closed);
    look_for_hangup();
    drop_if_done();
}

void Connection::look_for_hangup() {
    pollfd now{fd_.get(), 0, 0};
    if (::poll(&now, 1, 0) > 0 && (now.revents & (POLLHUP | POLLERR)) != 0) doom();
}

void Connection::handle_line(std::string_view line) {
    // An empty line is nobody's message: people who type at the socket send them.
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    auto request = parse_request(line);
    const std::size_t count = request ? request->descriptor_count() : request.error().descriptor_count;
    auto descriptors = reader_.take_descriptors(count);
    if (!descriptors) return fail(descriptors.error());
    if (request) {
        Answer answer(shared_from_this(), std::move(request->id));
        return handler_.handle(std::move(answer), std::move(*request), std::move(*descriptors));
    }
    // Whose the waiting descriptors are can't be told any more, and the next message must not get a wrong
    // one.
    const bool ambiguous =
        request.error().error.code == RpcCode::parse_error && reader_.waiting_descriptors() > 0;
    send(build_error(request.error().id, request.error().error));
    if (ambiguous) doom();
}

bool Connection::notify_text(std::string_view method, const JsonText& params) {
    if (state_ == State::doomed) return true;
    std::string line = build_notification(method, params);
    if (line.size() >= kMaxMessageBytes) return false;
    send(std::move(line));
    return true;
}

void Connection::send(std::string line) {
    if (state_ == State::doomed) return;
    // What the peer does not read is lost with it; telling it so would only add to what it does not read.
    if (auto pushed = output_.push(std::move(line)); !pushed) return doom();
    flush();
    update_interest();
}

void Connection::flush() {
    if (state_ == State::doomed) return;
    if (auto flushed = output_.flush(fd_.get()); !flushed) return doom();
    const bool waited = std::exchange(waiting_, !output_.empty());
    if (waited && !waiting_) handler_.drained(*this);
    drop_if_done();
}

// Says why, as far as the peer still listens, and ends it.
void Connection::fail(const Error& error) {
    if (state_ == State::doomed) return;
    if (error.code != ErrorCode::system) send(build_error({"null"}, to_rpc(error)));
    doom();
}

void Connection::drop_if_done() {
    if (state_ == State::half_closed && holds_ == 0 && output_.empty()) doom();
}

void Connection::doom() {
    if (state_ != State::doomed) become(State::doomed);
}

void Connection::become(State state) {
    state_ = state;
    update_interest();
    on_state_(*this);
}

void Connection::update_interest() {
    watch_.want(state_ == State::open && !backlog_, state_ != State::doomed && !output_.empty());
}

}  // namespace cancelable::ipc
