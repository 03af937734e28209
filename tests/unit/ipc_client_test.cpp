#include "ipc/client.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>

#include "ipc/rpc.h"
#include "ipc/server.h"
#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// A supervisor of which the test says every byte: what the client will read is written before it asks.
struct Scripted {
    Scripted()
        : path(directory.file("socket")),
          listener(listen_at(path).value()),
          client(Client::connect(path).value()) {
        auto accepted = accept_from(listener.get());
        if (accepted) peer.emplace(std::move(*accepted));
    }
    void says(const std::string& line) const { peer->send(line + "\n"); }

    TemporaryDirectory directory;
    std::string path;
    UniqueFd listener;
    Client client;
    std::optional<RawPeer> peer;
};

}  // namespace

TEST_CASE("a call returns the result of its request") {
    Scripted fixture;
    fixture.says(build_response({"1"}, to_text({{"x", 1}})));
    CHECK(fixture.client.call("m", {{"a", "b"}}).value() == json{{"x", 1}});
    CHECK(fixture.peer->next() ==
          json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "m"}, {"params", {{"a", "b"}}}});
}

TEST_CASE("an error response becomes an error of its kind, with its sentence") {
    Scripted fixture;
    fixture.says(build_error({"1"}, to_rpc(Error{ErrorCode::not_found, "there is no operation 7", 0})));
    const auto result = fixture.client.call("m", json::object());
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::not_found);
    CHECK(result.error().sentence() == "there is no operation 7");
    // The connection goes on.
    fixture.says(build_response({"2"}, to_text(5)));
    CHECK(fixture.client.call("m", json::object()).value() == 5);
}

TEST_CASE("descriptors go out in order, on the first byte of their request") {
    Scripted fixture;
    const UniqueFd a = anonymous_file();
    const UniqueFd b = anonymous_file();
    REQUIRE(fixture.client.send("m", {{"descriptors", {"x", "y"}}, {"big", std::string(100'000, 'z')}},
                                std::array{a.get(), b.get()}));
    FrameReader reader;
    std::optional<std::string_view> line;
    while (!(line = reader.next()))
        REQUIRE(reader.read_from(fixture.peer->fd()));
    auto taken = reader.take_descriptors(2);
    REQUIRE(taken);
    CHECK(inode_of((*taken)[0].get()) == inode_of(a.get()));
    CHECK(inode_of((*taken)[1].get()) == inode_of(b.get()));
    CHECK(reader.waiting_descriptors() == 0);
}

TEST_CASE("what arrives while a call waits is kept in order for receive") {
    Scripted fixture;
    REQUIRE(fixture.client.send("first", json::object()).value() == 1);
    fixture.says(build_notification("told", to_text({{"n", 1}})));
    fixture.says(build_response({"1"}, to_text("one")));
    fixture.says(build_response({"2"}, to_text("two")));
    fixture.says(build_notification("told", to_text({{"n", 2}})));
    CHECK(fixture.client.call("second", json::object()).value() == "two");
    auto message = fixture.client.receive().value();
    CHECK(std::get<Notification>(*message).params["n"] == 1);
    message = fixture.client.receive().value();
    CHECK(std::get<Response>(*message).request == 1);
    CHECK(std::get<Response>(*message).result.value() == "one");
    message = fixture.client.receive().value();
    CHECK(std::get<Notification>(*message).params["n"] == 2);
    CHECK_FALSE(fixture.client.receive().value());
}

TEST_CASE("receive never blocks, also in the middle of a message") {
    Scripted fixture;
    CHECK_FALSE(fixture.client.receive().value());
    const std::string line = build_notification("told", to_text(json::object())) + "\n";
    for (const char c : line) {
        REQUIRE_FALSE(fixture.client.receive().value());
        fixture.peer->send(std::string(1, c));
    }
    pollfd ready{fixture.client.fd(), POLLIN, 0};
    CHECK(::poll(&ready, 1, 0) == 1);
    CHECK(std::get<Notification>(*fixture.client.receive().value()).method == "told");
}

TEST_CASE("a lost connection is unreachable from every call, and stays lost") {
    Scripted fixture;
    REQUIRE(fixture.client.send("m", json::object()));
    fixture.says(build_notification("told", to_text(json::object())));
    fixture.peer->close();
    // What was said before is still heard.
    CHECK(std::get<Notification>(*fixture.client.receive().value()).method == "told");
    for (int i = 0; i < 2; ++i) {
        const auto lost = fixture.client.receive();
        REQUIRE_FALSE(lost);
        CHECK(lost.error().code == ErrorCode::unreachable);
        CHECK(fixture.client.call("m", json::object()).error().code == ErrorCode::unreachable);
        CHECK(fixture.client.send("m", json::object()).error().code == ErrorCode::unreachable);
    }
}

TEST_CASE("a client that is turned away hears why, although it could not even ask") {
    Scripted fixture;
    fixture.says(build_error({"null"}, to_rpc(Error{ErrorCode::limit, "no room", 0})));
    fixture.peer->close();
    const auto refused = fixture.client.call("m", json::object());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::limit);
    CHECK(refused.error().sentence() == "no room");
}

TEST_CASE("a call gives up at its deadline, and the late answer disturbs nobody") {
    Scripted fixture;
    const auto late = fixture.client.call("m", json::object(), {}, std::chrono::steady_clock::now() + 10ms);
    REQUIRE_FALSE(late);
    CHECK(late.error().code == ErrorCode::limit);
    fixture.says(build_response({"1"}, to_text("late")));
    fixture.says(build_response({"2"}, to_text("in time")));
    CHECK(fixture.client.call("m", json::object()).value() == "in time");
    CHECK_FALSE(fixture.client.receive().value());
}

TEST_CASE("a supervisor that talks nonsense is an error of the protocol") {
    for (const char* line :
         {"nonsense", "[]", "3", "{}", R"({"id":1})", R"({"id":"x","result":1})", R"({"method":3})"}) {
        CAPTURE(line);
        Scripted fixture;
        fixture.says(line);
        const auto result = fixture.client.call("m", json::object());
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::protocol);
    }
}

TEST_CASE("a request that is longer than a message may be is refused before it is sent") {
    Scripted fixture;
    const auto result = fixture.client.call("m", {{"x", std::string(kMaxMessageBytes, 'x')}});
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::limit);
    fixture.says(build_response({"2"}, to_text(5)));
    CHECK(fixture.client.call("m", json::object()).value() == 5);
}

TEST_CASE("nobody listening is unreachable, with the errno that says whether one may be started") {
    const TemporaryDirectory directory;
    const auto nobody = Client::connect(directory.file("socket"));
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code == ErrorCode::unreachable);
    CHECK(nobody.error().os_errno == ENOENT);
    CHECK(Client::connect("/" + std::string(200, 'x')).error().code == ErrorCode::limit);
}

TEST_CASE("many clients on their threads and one server understand each other") {
    class Echo final : public Handler {
    public:
        void handle(Answer answer, Request request, std::vector<UniqueFd>) override {
            answer.result_text({std::string(request.params.text())});
        }
        void closed(const Connection&) noexcept override {}
    };
    const TemporaryDirectory directory;
    const std::string path = directory.file("socket");
    Loop loop;
    Echo echo;
    bool stopped = false;
    Wake stop(loop, [&] { stopped = true; });
    auto server = std::make_unique<Server>(loop, listen_at(path).value(), echo, Server::Settings{});
    std::vector<std::thread> clients;
    std::atomic<int> right = 0;
    std::atomic<int> running = 4;
    for (int c = 0; c < 4; ++c) {
        clients.emplace_back([&, c] {
            auto client = Client::connect(path);
            for (int i = 0; client && i < 50; ++i) {
                // From a few bytes to more than the socket's buffers hold.
                const json params{{"c", c},
                                  {"text", std::string(static_cast<std::size_t>(i * i * 200), 'x')}};
                const auto result = client->call("echo", params, {}, std::chrono::steady_clock::now() + 5min);
                if (result && *result == params) ++right;
            }
            if (--running == 0) stop.notify();
        });
    }
    while (!stopped)
        loop.run_once(true);
    for (std::thread& client : clients)
        client.join();
    server.reset();
    CHECK(right == 200);
}
