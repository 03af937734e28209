#include "ipc/results.h"

#include <doctest/doctest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "ipc/timestamp.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

WallTime at(const char* text) {
    return parse_timestamp(text).value();
}

Operation cancelled_operation() {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = 12;
    spec->name = "train";
    spec->command = {"python", "train.py"};
    spec->cwd = "/home/x";
    spec->tags = {{"user", "42"}};
    spec->parent = 3;
    spec->detached = true;
    spec->timeout = 90s;
    spec->grace = 2500ms;
    spec->cancel_on = {"file:stop"};
    spec->hooks.on_end = "./tell";
    spec->hooks.time_limit = 5s;
    spec->log = "/state/logs/12.log";
    spec->created_at = at("2026-03-01T09:05:00.000Z");

    auto cancelation = std::make_shared<Cancelation>();
    cancelation->reason = CancelationReason::manual;
    cancelation->message = "enough";
    cancelation->by = {1000, 77};
    cancelation->signal = SIGTERM;
    cancelation->requested_at = at("2026-03-01T09:06:00.000Z");
    cancelation->gone_at = at("2026-03-01T09:06:02.600Z");
    cancelation->signals = {SIGTERM, SIGKILL};
    cancelation->processes = 5;
    cancelation->survivors = {99};

    Operation operation;
    operation.spec = spec;
    operation.status = Status::cancelled;
    operation.started_at = at("2026-03-01T09:05:00.002Z");
    operation.ended_at = at("2026-03-01T09:06:02.600Z");
    operation.duration = 62'598'000us;
    operation.exit = Exit{true, SIGKILL};
    operation.cancelation = cancelation;
    operation.usage = Usage{1'500'000us, 250'000us, 1 << 20};
    operation.shielded = Shielded{2, 30s, at("2026-03-01T09:06:30.000Z")};
    operation.progress =
        std::make_shared<const Progress>(Progress{0.75, "epoch 3/4", at("2026-03-01T09:05:59.000Z")});
    return operation;
}

Operation running_operation() {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = 1;
    spec->name = "sleep";
    spec->command = {"sleep", "9"};
    spec->cwd = "/";
    spec->created_at = at("2026-03-01T09:05:00.000Z");
    Operation operation;
    operation.spec = spec;
    operation.status = Status::running;
    operation.pid = 4242;
    operation.started_at = at("2026-03-01T09:05:00.500Z");
    return operation;
}

}  // namespace

TEST_CASE("an ended operation has the fields of the contract, spelled as there") {
    const json expected = json::parse(R"({
        "id": 12, "name": "train", "status": "cancelled", "command": ["python", "train.py"], "cwd": "/home/x",
        "tags": {"user": "42"}, "parent": 3, "pid": null, "detached": true,
        "created_at": "2026-03-01T09:05:00.000Z", "started_at": "2026-03-01T09:05:00.002Z",
        "ended_at": "2026-03-01T09:06:02.600Z", "duration": 62.598, "exit": {"signal": "SIGKILL"},
        "timeout": 90.0, "grace": 2.5, "cancel_on": ["file:stop"],
        "hooks": {"on_start": null, "on_cancel": null, "on_end": "./tell", "timeout": 5.0},
        "cancel": {"reason": "manual", "message": "enough", "by": {"uid": 1000, "pid": 77},
                   "requested_at": "2026-03-01T09:06:00.000Z", "gone_at": "2026-03-01T09:06:02.600Z",
                   "signals": ["SIGTERM", "SIGKILL"], "processes": 5, "survivors": [99]},
        "usage": {"user": 1.5, "system": 0.25, "max_rss": 1048576},
        "shielded": {"count": 2, "limit": 30.0, "until": "2026-03-01T09:06:30.000Z"},
        "progress": {"fraction": 0.75, "text": "epoch 3/4", "at": "2026-03-01T09:05:59.000Z"},
        "log": "/state/logs/12.log", "error": null})");
    CHECK(encode_operation(cancelled_operation(), WallTime{}) == expected);
}

TEST_CASE("a live operation has null for what is not known yet, and its age so far as its duration") {
    const json encoded = encode_operation(running_operation(), at("2026-03-01T09:05:02.000Z"));
    CHECK(encoded["pid"] == 4242);
    CHECK(encoded["duration"] == 1.5);
    for (const char* name : {"parent", "ended_at", "exit", "timeout", "hooks", "cancel", "usage", "shielded",
                             "progress", "log", "error"}) {
        CAPTURE(name);
        REQUIRE(encoded.contains(name));
        CHECK(encoded[name].is_null());
    }
    // The clock was set back.
    CHECK(encode_operation(running_operation(), at("2026-03-01T09:00:00.000Z"))["duration"] == 0.0);
    Operation exited = running_operation();
    exited.exit = Exit{false, 3};
    CHECK(encode_operation(exited, WallTime{})["exit"] == json{{"code", 3}});
}

TEST_CASE("results never fail on bytes that are not UTF-8") {
    Operation operation = cancelled_operation();
    auto spec = std::make_shared<OperationSpec>(*operation.spec);
    spec->name = "\xff";
    spec->command = {"\xc3", "\xed\xa0\x80"};
    spec->cwd = "/\xfe";
    spec->tags = {{"\x80", "\x81"}};
    spec->log = "/\xff.log";
    operation.spec = spec;
    auto cancelation = std::make_shared<Cancelation>(*operation.cancelation);
    cancelation->message = "\xf0\x9f";
    operation.cancelation = cancelation;
    operation.error = "cannot execute \"\xff\"";
    const json encoded = encode_operation(operation, WallTime{});
    CHECK_NOTHROW(static_cast<void>(encoded.dump()));
    CHECK(encoded["name"] == "\xef\xbf\xbd");
    CHECK(encoded["cancel"]["message"] == "\xef\xbf\xbd");
}

TEST_CASE("a client reads back what a supervisor wrote") {
    const WallTime now = at("2026-03-01T09:05:02.000Z");
    for (const Operation& operation : {cancelled_operation(), running_operation()}) {
        const json encoded = json::parse(encode_operation(operation, now).dump());
        const auto decoded = decode_operation(encoded);
        REQUIRE(decoded);
        CHECK(encode_operation(*decoded, now) == encoded);
    }
}

TEST_CASE("a client passes over fields that it does not know, and refuses what makes no sense") {
    json encoded = encode_operation(cancelled_operation(), WallTime{});
    encoded["invented_later"] = {1, 2};
    CHECK(decode_operation(encoded));
    for (const auto& [name, value] :
         std::initializer_list<std::pair<const char*, json>>{{"id", "x"},
                                                             {"status", "dead"},
                                                             {"command", 3},
                                                             {"started_at", "yesterday"},
                                                             {"exit", {{"signal", "NOPE"}}},
                                                             {"exit", {{"signal", 9}}},
                                                             {"cancel", {{"reason", "whim"}}},
                                                             {"cancel", "x"},
                                                             {"usage", json::array()},
                                                             {"progress", {{"fraction", "half"}}},
                                                             {"result", 5},
                                                             {"tags", {{"a", 1}}}}) {
        CAPTURE(name);
        json broken = encoded;
        broken[name] = value;
        const auto decoded = decode_operation(broken);
        REQUIRE_FALSE(decoded);
        CHECK(decoded.error().code == ErrorCode::protocol);
    }
    CHECK_FALSE(decode_operation(json()));
}

TEST_CASE("statistics have the fields of the contract, spelled as there") {
    Statistics statistics;
    statistics.total_operations = 1;
    statistics.running_operations = 2;
    statistics.cancelled_operations = 3;
    statistics.active_operations = 4;
    statistics.active_by_status = {{Status::running, 2}, {Status::cancelling, 2}};
    statistics.history_size = 5;
    statistics.history_by_status = {{Status::completed, 5}};
    statistics.total_completed = 6;
    statistics.average_duration_seconds = 0.5;
    statistics.duration = {1, 2, 3};
    statistics.cancel_latency = {0.1, 0.2, 0.3};
    statistics.escalated = 7;
    const json expected = json::parse(R"({
        "total_operations": 1, "running_operations": 2, "cancelled_operations": 3, "active_operations": 4,
        "active_by_status": {"running": 2, "cancelling": 2}, "history_size": 5, "history_by_status": {"completed": 5},
        "total_completed": 6, "average_duration_seconds": 0.5, "duration": {"p50": 1.0, "p90": 2.0, "p99": 3.0},
        "cancel_latency": {"p50": 0.1, "p90": 0.2, "p99": 0.3}, "escalated": 7,
        "supervisor": {"pid": 8, "version": "1", "protocol": 1, "uptime": 9.5, "socket": "/s", "rss": 10}})");
    CHECK(encode_statistics(statistics, {8, "1", 1, 9.5, "/s", 10}) == expected);
}
