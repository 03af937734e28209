#include "ipc/server.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <list>
#include <memory>

#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using nlohmann::json;

namespace {

// Answers what the tests need: echo gives the parameters back, inodes those of the descriptors, later keeps
// the answer, drop forgets it, big gives as many bytes as it is asked for.
class EchoHandler final : public Handler {
public:
    void handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) override {
        ++handled;
        if (request.method == "echo") {
            answer.result_text({std::string(request.params.text())});
        } else if (request.method == "inodes") {
            json inodes = json::array();
            for (const UniqueFd& fd : descriptors)
                inodes.push_back(inode_of(fd.get()));
            answer.result(inodes);
        } else if (request.method == "later") {
            kept.push_back(std::move(answer));
        } else if (request.method == "big") {
            answer.result(std::string(request.params.find("bytes")->unsigned_integer().value(), 'x'));
        } else if (request.method == "notify") {
            answer.connection()->notify("told", to_json(request.params));
        }
    }
    void closed(const Connection&) noexcept override {
        ++closed_connections;
        kept.clear();
    }

    int handled = 0;
    int closed_connections = 0;
    std::list<Answer> kept;
};

struct Fixture {
    explicit Fixture(Server::Settings settings = {}) : path(directory.file("socket")) {
        server = std::make_unique<Server>(loop, listen_at(path).value(), handler, std::move(settings));
    }
    ~Fixture() { server.reset(); }

    // Turns the loop until so many connections are there.
    bool await_connections(std::size_t count) {
        return run_until(loop, [&] { return server->connections() == count; });
    }

    TemporaryDirectory directory;
    std::string path;
    Loop loop;
    EchoHandler handler;
    std::unique_ptr<Server> server;
};

std::string echo(int id, const json& params = json::object()) {
    return json{{"jsonrpc", "2.0"}, {"id", id}, {"method", "echo"}, {"params", params}}.dump() + "\n";
}

}  // namespace

TEST_CASE("requests are answered by their ids, one by one and pipelined") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "echo", {{"x", "y"}});
    CHECK(peer.await(fixture.loop) == json{{"jsonrpc", "2.0"}, {"id", 1}, {"result", {{"x", "y"}}}});
    peer.send(echo(2) + echo(3) + "\n\r\n" + echo(4));
    for (int id = 2; id <= 4; ++id)
        CHECK(peer.await(fixture.loop)["id"] == id);
}

TEST_CASE("a request that arrives byte by byte is answered like any other") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    for (const char c : echo(1)) {
        peer.send(std::string(1, c));
        fixture.loop.run_once(false);
    }
    CHECK(peer.await(fixture.loop)["id"] == 1);
}

TEST_CASE("pipelined requests get exactly the descriptors that they list") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    std::vector<UniqueFd> files;
    for (int i = 0; i < 6; ++i)
        files.push_back(anonymous_file());
    const auto request = [](int id, const json& names) {
        return json{
                   {"jsonrpc", "2.0"}, {"id", id}, {"method", "inodes"}, {"params", {{"descriptors", names}}}}
                   .dump() +
               "\n";
    };
    const std::vector<int> raw{files[0].get(), files[1].get(), files[2].get(),
                               files[3].get(), files[4].get(), files[5].get()};
    peer.send(request(1, {"a", "b"}), {raw[0], raw[1]});
    peer.send(request(2, json::array()));
    peer.send(request(3, {"a"}), {raw[2]});
    // A request that is refused takes its own along.
    peer.send("{\"jsonrpc\":\"2.0\",\"id\":4,\"params\":{\"descriptors\":[\"a\",\"b\"]}}\n",
              {raw[3], raw[4]});
    peer.send(request(5, {"a"}), {raw[5]});
    const auto inode = [&](std::size_t i) { return inode_of(raw[i]); };
    CHECK(peer.await(fixture.loop)["result"] == json{inode(0), inode(1)});
    CHECK(peer.await(fixture.loop)["result"] == json::array());
    CHECK(peer.await(fixture.loop)["result"] == json{inode(2)});
    CHECK(peer.await(fixture.loop)["error"]["code"] == -32600);
    CHECK(peer.await(fixture.loop)["result"] == json{inode(5)});
}

TEST_CASE("a bad request is answered with its error, and the connection goes on") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.send("this is not JSON\n" + echo(1));
    const json error = peer.await(fixture.loop);
    CHECK(error["error"]["code"] == -32700);
    CHECK(error["id"].is_null());
    CHECK(peer.await(fixture.loop)["id"] == 1);
}

TEST_CASE("many requests at once are handled in turns, between which the others have theirs") {
    Fixture fixture;
    RawPeer eager(fixture.path);
    RawPeer other(fixture.path);
    REQUIRE(fixture.await_connections(2));
    std::string requests;
    for (int id = 1; id <= 500; ++id)
        requests += echo(id);
    REQUIRE(eager.send(requests) == requests.size());
    other.send(echo(1));
    CHECK(other.await(fixture.loop)["id"] == 1);
    CHECK(fixture.handler.handled < 100);
    eager.end_writing();
    for (int id = 1; id <= 500; ++id)
        REQUIRE(eager.await(fixture.loop)["id"] == id);
    CHECK(eager.await_end(fixture.loop));
}

TEST_CASE("a notification gets no answer, not even when it is bad") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.send(R"({"jsonrpc":"2.0","method":"echo"})"
              "\n" +
              echo(2));
    CHECK(peer.await(fixture.loop)["id"] == 2);
}

TEST_CASE("an answer that comes later finds its request, and one that is dropped says so") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "later");
    peer.request(2, "later");
    peer.request(3, "echo");
    CHECK(peer.await(fixture.loop)["id"] == 3);
    fixture.handler.kept.back().result("late");
    CHECK(peer.await(fixture.loop) == json{{"jsonrpc", "2.0"}, {"id", 2}, {"result", "late"}});
    fixture.handler.kept.clear();
    const json dropped = peer.await(fixture.loop);
    CHECK(dropped["id"] == 1);
    CHECK(dropped["error"]["code"] == -32603);
}

TEST_CASE("an answer to a peer that has gone is nobody's trouble") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "later");
    REQUIRE(run_until(fixture.loop, [&] { return fixture.handler.kept.size() == 1; }));
    Answer answer = std::move(fixture.handler.kept.front());
    peer.close();
    REQUIRE(fixture.await_connections(0));
    CHECK(fixture.handler.closed_connections == 1);
    CHECK(answer.connection() == nullptr);
    answer.result("too late");
}

TEST_CASE("a peer that has ended its side still gets the answers that it waits for") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.send(echo(1));
    peer.request(2, "later");
    peer.end_writing();
    CHECK(peer.await(fixture.loop)["id"] == 1);
    REQUIRE(run_until(fixture.loop, [&] { return fixture.handler.kept.size() == 1; }));
    CHECK(fixture.server->connections() == 1);
    fixture.handler.kept.front().result("late");
    fixture.handler.kept.clear();
    CHECK(peer.await(fixture.loop)["result"] == "late");
    CHECK(peer.await_end(fixture.loop));
    CHECK(fixture.await_connections(0));
}

TEST_CASE("a half-closed peer that goes away while it waits is noticed") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "later");
    peer.end_writing();
    REQUIRE(run_until(fixture.loop, [&] { return fixture.handler.kept.size() == 1; }));
    // The server sees the end of its requests first, and nothing more that would wake it.
    for (int turn = 0; turn < 10; ++turn)
        fixture.loop.run_once(false);
    CHECK(fixture.server->connections() == 1);
    peer.close();
    CHECK(fixture.await_connections(0));
    CHECK(fixture.handler.kept.empty());
}

TEST_CASE("half a message hurts nobody, and goes away with its peer") {
    Fixture fixture;
    RawPeer half(fixture.path);
    RawPeer other(fixture.path);
    half.send(R"({"jsonrpc":"2.0",)");
    other.send(echo(1));
    CHECK(other.await(fixture.loop)["id"] == 1);
    half.close();
    CHECK(fixture.await_connections(1));
    CHECK(fixture.handler.handled == 1);
}

TEST_CASE("a line of 9 MiB closes its connection with a reason, and no other") {
    Fixture fixture;
    RawPeer big(fixture.path);
    RawPeer other(fixture.path);
    const std::string chunk(64 << 10, 'x');
    std::size_t sent = 0;
    json answer;
    REQUIRE(run_until(fixture.loop, [&] {
        if (sent < std::size_t{9} << 20) sent += big.send(chunk);
        answer = big.next();
        return !answer.is_null();
    }));
    CHECK(answer["id"].is_null());
    CHECK(answer["error"]["code"] == -32003);
    CHECK(answer["error"]["message"] == "a message is at most 8388608 bytes long");
    CHECK(sent > kMaxMessageBytes);
    CHECK(fixture.await_connections(1));
    other.send(echo(1));
    CHECK(other.await(fixture.loop)["id"] == 1);
}

TEST_CASE("a peer that asks without reading is closed at its bound, and the others are served meanwhile") {
    Fixture fixture;
    RawPeer flood(fixture.path);
    RawPeer other(fixture.path);
    std::string request =
        json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "big"}, {"params", {{"bytes", 100'000}}}}.dump();
    request += "\n";
    int answered = 0;
    REQUIRE(run_until(fixture.loop, [&] {
        for (int i = 0; i < 10; ++i)
            flood.send(request);
        other.send(echo(++answered));
        return other.await(fixture.loop)["id"] == answered && fixture.handler.closed_connections == 1;
    }));
    CHECK(fixture.server->connections() == 1);
    // What was unread is bounded: about 84 answers of 100,000 bytes, and what the kernel holds.
    CHECK(fixture.handler.handled - answered < 100);
}

TEST_CASE("an answer that is longer than a message may be is an error, and the connection goes on") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "big", {{"bytes", kMaxMessageBytes}});
    const json answer = peer.await(fixture.loop);
    CHECK(answer["id"] == 1);
    CHECK(answer["error"]["code"] == -32003);
    peer.request(2, "big", {{"bytes", kMaxMessageBytes - 100}});
    CHECK(peer.await(fixture.loop)["result"].get<std::string>().size() == kMaxMessageBytes - 100);
}

TEST_CASE("a message that lists descriptors which did not come closes the connection") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "inodes", {{"descriptors", {"stdin"}}});
    const json answer = peer.await(fixture.loop);
    CHECK(answer["id"].is_null());
    CHECK(answer["error"]["message"] == "a message lists 1 descriptors and came with 0");
    CHECK(peer.await_end(fixture.loop));
    CHECK(fixture.handler.handled == 0);
}

TEST_CASE("descriptors that no message takes close the connection at their bound, and none leaks") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    REQUIRE(fixture.await_connections(1));
    const UniqueFd file = anonymous_file();
    const std::size_t before = open_descriptors();
    for (std::size_t i = 0; i <= kMaxDescriptors; ++i) {
        peer.send(i % 2 == 0 ? echo(1) : " ", {file.get()});
        fixture.loop.run_once(false);
    }
    REQUIRE(fixture.await_connections(0));
    CHECK(open_descriptors() == before - 1);  // The server's end of the connection is gone too.
}

TEST_CASE("where nobody can tell whose the descriptors are, the connection is closed") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    const UniqueFd file = anonymous_file();
    peer.send("{not JSON\n", {file.get()});
    CHECK(peer.await(fixture.loop)["error"]["code"] == -32700);
    CHECK(peer.await_end(fixture.loop));
}

TEST_CASE("one connection too many is told so") {
    Server::Settings settings;
    settings.max_connections = 2;
    std::vector<std::size_t> counts;
    settings.on_connections = [&](std::size_t count) { counts.push_back(count); };
    Fixture fixture(std::move(settings));
    RawPeer first(fixture.path);
    RawPeer second(fixture.path);
    REQUIRE(fixture.await_connections(2));
    RawPeer third(fixture.path);
    CHECK(third.await(fixture.loop)["error"]["message"] ==
          "the supervisor has 2 connections and takes no more");
    CHECK(third.await_end(fixture.loop));
    first.close();
    REQUIRE(fixture.await_connections(1));
    RawPeer fourth(fixture.path);
    fourth.send(echo(1));
    CHECK(fourth.await(fixture.loop)["id"] == 1);
    CHECK(counts == std::vector<std::size_t>{1, 2, 1, 2});
}

TEST_CASE("another user's process is turned away") {
    Server::Settings settings;
    settings.owner = ::geteuid() + 1;
    Fixture fixture(std::move(settings));
    RawPeer peer(fixture.path);
    if (::geteuid() == 0) {
        peer.send(echo(1));
        CHECK(peer.await(fixture.loop)["id"] == 1);
        return;
    }
    CHECK(peer.await(fixture.loop)["error"]["code"] == -32002);
    CHECK(peer.await_end(fixture.loop));
}

TEST_CASE("without a free descriptor a connection is turned away, and the next one is served") {
    Fixture fixture;
    RawPeer before(fixture.path);
    REQUIRE(fixture.await_connections(1));
    RawPeer waiting(fixture.path);
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit low{std::min<rlim_t>(256, limit.rlim_cur), limit.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    std::vector<UniqueFd> all;
    while (true) {
        UniqueFd fd(::dup(before.fd()));
        if (!fd) break;
        all.push_back(std::move(fd));
    }
    const json told = waiting.await(fixture.loop);
    const bool closed = waiting.await_end(fixture.loop);
    before.send(echo(1));
    const json answer = before.await(fixture.loop);
    all.clear();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(told["error"]["message"] == "the supervisor has no free file descriptor for a connection");
    CHECK(closed);
    CHECK(answer["id"] == 1);
    RawPeer after(fixture.path);
    after.send(echo(2));
    CHECK(after.await(fixture.loop)["id"] == 2);
}

TEST_CASE("a server that goes away drops its connections and tells its handler") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    peer.request(1, "later");
    REQUIRE(run_until(fixture.loop, [&] { return fixture.handler.kept.size() == 1; }));
    fixture.server.reset();
    CHECK(fixture.handler.closed_connections == 1);
    // No answer that looks like a failure of the request: the connection is lost, and that is all.
    CHECK(peer.await_end(fixture.loop));
}

TEST_CASE("a server that stops accepting serves those that it has") {
    Fixture fixture;
    RawPeer peer(fixture.path);
    REQUIRE(fixture.await_connections(1));
    fixture.server->stop_accepting();
    CHECK_FALSE(connect_to(fixture.path));
    peer.send(echo(1));
    CHECK(peer.await(fixture.loop)["id"] == 1);
}
