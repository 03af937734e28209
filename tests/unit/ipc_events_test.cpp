// Following the events through a socket: in order, from a place, at the reader's pace.
#include <doctest/doctest.h>

#include "fake_operations.h"
#include "ipc/server.h"
#include "ipc/service.h"
#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using nlohmann::json;

namespace {

struct Fixture {
    explicit Fixture(EventLog::Limits limits = {})
        : path(directory.file("socket")),
          operations(limits),
          service(loop, operations, {path, "", nullptr}),
          server(loop, listen_at(path).value(), service, {}),
          peer(path) {}

    EventLog& log() { return operations.events(); }

    static Snapshot operation(OperationId id, const std::string& name, Status status = Status::running) {
        OperationSpec spec;
        spec.id = id;
        spec.name = name;
        spec.tags = {{"user", std::to_string(id)}};
        spec.parent = id - 1;
        Operation operation;
        operation.spec = std::make_shared<const OperationSpec>(std::move(spec));
        operation.status = status;
        return std::make_shared<const Operation>(std::move(operation));
    }

    // The answer.
    json subscribe(const json& params = json::object()) {
        peer.request(1, "events.subscribe", params);
        return peer.await(loop);
    }

    // The events that come until nothing more does: sent is all that a marker at the end was sent after.
    std::vector<json> messages_until(std::uint64_t sequence) {
        std::vector<json> messages;
        for (;;) {
            messages.push_back(peer.await(loop));
            const json& message = messages.back();
            if (message.is_null()) return messages;
            if (message["method"] == "event" && message["params"]["event"]["sequence"] == sequence)
                return messages;
        }
    }

    std::vector<std::uint64_t> numbers_until(std::uint64_t sequence) {
        std::vector<std::uint64_t> numbers;
        for (const json& message : messages_until(sequence))
            if (message["method"] == "event")
                numbers.push_back(message["params"]["event"]["sequence"].get<std::uint64_t>());
        return numbers;
    }

    TemporaryDirectory directory;
    std::string path;
    Loop loop;
    FakeOperations operations;
    Service service;
    Server server;
    RawPeer peer;
};

using Numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE_BEGIN("ipc events");

TEST_CASE("a subscriber gets the answer, and then each event in order with what it is about") {
    Fixture fixture;
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "before"));
    const std::uint64_t last = fixture.log().next() - 1;
    const json answer = fixture.subscribe()["result"];
    CHECK(answer["sequence"] == last);
    CHECK(answer["oldest"] == last);
    fixture.log().append(EventKind::accepted, Fixture::operation(2, "b", Status::pending));
    fixture.log().append(EventKind::signal, Fixture::operation(2, "b"),
                         {{"signal", SignalNumber{15}}, {"by", Requester{1000, 77}}});
    fixture.log().append(EventKind::ended, Fixture::operation(2, "b", Status::failed),
                         {{"exit", Exit{false, 3}},
                          {"duration", std::chrono::microseconds(1'500'000)},
                          {"signals", std::vector<SignalNumber>{{15}, {9}}},
                          {"to", Status::failed}});
    const auto messages = fixture.messages_until(last + 3);
    REQUIRE(messages.size() == 3);
    CHECK(messages[0]["params"]["subscription"] == answer["subscription"]);
    json event = messages[0]["params"]["event"];
    CHECK(event["time"].is_string());
    event.erase("time");
    CHECK(event == json{{"sequence", last + 1},
                        {"kind", "accepted"},
                        {"id", 2},
                        {"name", "b"},
                        {"parent", 1},
                        {"status", "pending"},
                        {"tags", {{"user", "2"}}}});
    CHECK(messages[1]["params"]["event"]["signal"] == "SIGTERM");
    CHECK(messages[1]["params"]["event"]["by"] == json{{"uid", 1000}, {"pid", 77}});
    event = messages[2]["params"]["event"];
    CHECK(event["exit"] == json{{"code", 3}});
    CHECK(event["duration"] == 1.5);
    CHECK(event["signals"] == json{"SIGTERM", "SIGKILL"});
    CHECK(event["to"] == "failed");
}

TEST_CASE("selectors and kinds narrow what comes") {
    Fixture fixture;
    const std::uint64_t first = fixture.log().next();
    json params;
    SUBCASE("by name") {
        params = {{"selector", {{"globs", {"a*"}}}}};
    }
    SUBCASE("by tag") {
        params = {{"selector", {{"tags", {{"user", "1"}}}}}};
    }
    SUBCASE("by parent") {
        params = {{"selector", {{"parent", 0}}}};
    }
    SUBCASE("by id, of some kinds") {
        params = {{"selector", {{"ids", {1}}}}, {"kinds", {"signal", "accepted"}}};
    }
    fixture.subscribe(params);
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "ant"));
    fixture.log().append(EventKind::accepted, Fixture::operation(2, "bee"));
    fixture.log().append(EventKind::signal, Fixture::operation(1, "ant"));
    fixture.log().append(EventKind::signal, nullptr);
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "ant"));
    CHECK(fixture.numbers_until(first + 4) == Numbers{first, first + 2, first + 4});
}

TEST_CASE("replay begins with the last that match") {
    Fixture fixture;
    const std::uint64_t first = fixture.log().next();
    for (OperationId id = 1; id <= 4; ++id)
        for (const char* name : {"a", "b"})
            fixture.log().append(EventKind::accepted, Fixture::operation(id, name));
    fixture.subscribe({{"replay", 2}, {"selector", {{"name", "a"}}}});
    CHECK(fixture.numbers_until(first + 6) == Numbers{first + 4, first + 6});
}

TEST_CASE("without following, what is remembered comes and then the end") {
    Fixture fixture;
    const std::uint64_t first = fixture.log().next();
    for (int i = 0; i < 200; ++i)
        fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    fixture.subscribe({{"follow", false}});
    CHECK(fixture.numbers_until(first + 199).size() == 200);
    const json end = fixture.peer.await(fixture.loop);
    CHECK(end["method"] == "events.end");
    CHECK(end["params"]["sequence"] == first + 199);
    // It is over: its number is not known any more.
    fixture.peer.request(2, "events.unsubscribe", {{"subscription", 1}});
    CHECK(fixture.peer.await(fixture.loop)["error"]["code"] == -32001);
}

TEST_CASE("a client goes on behind the last number that it had, and misses nothing") {
    Fixture fixture;
    const std::uint64_t first = fixture.log().next();
    for (int i = 0; i < 10; ++i)
        fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    fixture.subscribe({{"after", first + 6}});
    CHECK(fixture.messages_until(first + 9).size() == 3);
}

TEST_CASE("a client that had the last event hears nothing until the next one") {
    Fixture fixture;
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    const std::uint64_t last = fixture.log().next() - 1;
    fixture.subscribe({{"after", last}});
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    CHECK(fixture.messages_until(last + 1).size() == 1);
}

TEST_CASE("what was forgotten meanwhile is told as missed") {
    Fixture fixture({.events = 4});
    const std::uint64_t first = fixture.log().next();
    for (int i = 0; i < 10; ++i)
        fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    fixture.subscribe({{"after", first + 1}});
    const auto messages = fixture.messages_until(first + 9);
    REQUIRE(messages.size() == 5);
    CHECK(messages[0]["method"] == "events.missed");
    CHECK(messages[0]["params"] ==
          json{{"subscription", 1}, {"from", first + 2}, {"to", first + 5}, {"reason", "behind"}});
}

TEST_CASE("who comes with a number of another supervisor is told so, and gets all that this one has") {
    Fixture fixture;
    const std::uint64_t first = fixture.log().next();
    std::uint64_t after = first - 1'000'000;
    SUBCASE("an earlier one") {}
    SUBCASE("whose clock was ahead") {
        after = first + 1'000'000;
    }
    fixture.log().append(EventKind::adopted, Fixture::operation(1, "a"));
    fixture.subscribe({{"after", after}});
    const auto messages = fixture.messages_until(first);
    REQUIRE(messages.size() == 2);
    CHECK(messages[0]["params"]["reason"] == "restart");
    CHECK(messages[0]["params"]["from"] == after + 1);
    CHECK(messages[0]["params"]["to"] == first - 1);
}

TEST_CASE("a subscriber that does not read costs nothing, keeps its connection, and is told what it missed") {
    Fixture fixture({.events = 1000});
    RawPeer other(fixture.path);
    fixture.subscribe();
    other.request(1, "events.subscribe");
    other.await(fixture.loop);
    const std::uint64_t first = fixture.log().next();
    const Snapshot loud = Fixture::operation(1, std::string(2000, 'n'));
    // Far more than the sockets and the log can hold: some twenty megabytes.
    constexpr std::uint64_t kMany = 10'000;
    std::uint64_t seen_by_other = 0;
    for (std::uint64_t i = 0; i < kMany; ++i) {
        fixture.log().append(EventKind::accepted, loud);
        if (i % 50 != 49) continue;
        // The one that reads gets everything meanwhile.
        const bool came = run_until(fixture.loop, [&] {
            for (json message = other.next(); !message.is_null(); message = other.next())
                if (message["method"] == "event") ++seen_by_other;
            return seen_by_other == i + 1;
        });
        REQUIRE(came);
    }
    CHECK(fixture.server.connections() == 2);
    // Now it reads: every number is either an event or within what it is told that it missed.
    std::uint64_t expected = first;
    std::uint64_t gaps = 0;
    while (expected < first + kMany) {
        const json message = fixture.peer.await(fixture.loop);
        REQUIRE(!message.is_null());
        const json& params = message["params"];
        if (message["method"] == "event") {
            REQUIRE(params["event"]["sequence"] == expected);
            ++expected;
        } else {
            REQUIRE(message["method"] == "events.missed");
            CHECK(params["reason"] == "behind");
            REQUIRE(params["from"] == expected);
            expected = params["to"].get<std::uint64_t>() + 1;
            ++gaps;
        }
    }
    CHECK(gaps > 0);
    // And follows as before.
    fixture.log().append(EventKind::accepted, Fixture::operation(2, "quiet"));
    CHECK(fixture.messages_until(first + kMany).size() == 1);
}

TEST_CASE("an event that no message can hold is told as missed, and the next ones come") {
    Fixture fixture({.bytes = 4 * kMaxMessageBytes});
    fixture.subscribe();
    const std::uint64_t first = fixture.log().next();
    fixture.log().append(EventKind::cancel, Fixture::operation(1, "a"),
                         {{"message", std::string(kMaxMessageBytes, 'm')}});
    fixture.log().append(EventKind::status, Fixture::operation(1, "a"));
    const auto messages = fixture.messages_until(first + 1);
    REQUIRE(messages.size() == 2);
    CHECK(messages[0]["params"]["reason"] == "too_large");
    CHECK(messages[0]["params"]["from"] == first);
    CHECK(messages[0]["params"]["to"] == first);
}

TEST_CASE("a subscription ends when it is told to, and with its connection") {
    Fixture fixture;
    const json answer = fixture.subscribe()["result"];
    fixture.peer.request(2, "events.unsubscribe", {{"subscription", answer["subscription"]}});
    CHECK(fixture.peer.await(fixture.loop)["result"] == json::object());
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    fixture.peer.request(3, "supervisor.hello");
    CHECK(fixture.peer.await(fixture.loop)["id"] == 3);
    fixture.subscribe();
    fixture.peer.close();
    CHECK(run_until(fixture.loop, [&] { return fixture.server.connections() == 0; }));
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    fixture.loop.run_once(false);
}

TEST_CASE("one subscription cannot be ended by another connection") {
    Fixture fixture;
    fixture.subscribe();
    RawPeer other(fixture.path);
    other.request(1, "events.unsubscribe", {{"subscription", 1}});
    CHECK(other.await(fixture.loop)["error"]["code"] == -32001);
}

TEST_CASE("a peer that has said all it had to say still follows") {
    Fixture fixture;
    fixture.subscribe();
    fixture.peer.end_writing();
    CHECK(run_until(fixture.loop, [&] { return true; }));
    fixture.loop.run_once(false);
    fixture.log().append(EventKind::accepted, Fixture::operation(1, "a"));
    CHECK(fixture.messages_until(fixture.log().next() - 1).size() == 1);
}

TEST_CASE("a connection has only so many subscriptions") {
    Fixture fixture;
    for (int i = 0; i < 16; ++i)
        CHECK(fixture.subscribe().contains("result"));
    CHECK(fixture.subscribe()["error"]["code"] == -32003);
}

TEST_CASE("bad parameters of a subscription are named") {
    Fixture fixture;
    CHECK(fixture.subscribe({{"kinds", {"endde"}}})["error"]["message"].get<std::string>().find("endde") !=
          std::string::npos);
    CHECK(fixture.subscribe({{"after", 1}, {"replay", 1}})["error"]["code"] == -32602);
    CHECK(fixture.subscribe({{"zzz", 1}})["error"]["code"] == -32602);
}

TEST_CASE("a request for a signal names who asked in the engine") {
    Fixture fixture;
    fixture.peer.request(1, "operation.run", {{"command", {"x"}}, {"cwd", "/"}});
    CHECK(fixture.peer.await(fixture.loop)["result"]["id"] == 1);
    fixture.peer.request(2, "operation.signal", {{"id", 1}, {"signal", "USR1"}});
    CHECK(fixture.peer.await(fixture.loop).contains("result"));
    CHECK(fixture.operations.last_signal_by.pid == ::getpid());
}

TEST_SUITE_END();
