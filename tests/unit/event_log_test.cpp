#include "engine/event_log.h"

#include <doctest/doctest.h>

#include <memory>

namespace cancelable {
namespace {

Snapshot operation_named(const std::string& name, OperationId id = 1, std::size_t command_bytes = 0) {
    OperationSpec spec;
    spec.id = id;
    spec.name = name;
    spec.command = {std::string(command_bytes, 'x')};
    Operation operation;
    operation.spec = std::make_shared<const OperationSpec>(std::move(spec));
    return std::make_shared<const Operation>(std::move(operation));
}

std::size_t kept(const EventLog& log) {
    return static_cast<std::size_t>(log.next() - log.oldest());
}

}  // namespace

TEST_SUITE_BEGIN("event log");

TEST_CASE("events are numbered without a gap and found by their number") {
    EventLog log({}, 100);
    CHECK(log.append(EventKind::accepted, operation_named("a")) == 100);
    CHECK(log.append(EventKind::signal, operation_named("a"), {{"signal", SignalNumber{15}}}) == 101);
    REQUIRE(log.find(101) != nullptr);
    CHECK(log.find(101)->kind == EventKind::signal);
    CHECK(std::get<SignalNumber>(*log.find(101)->find("signal")).number == 15);
    CHECK(log.find(101)->find("nonsense") == nullptr);
    CHECK(log.find(99) == nullptr);
    CHECK(log.find(102) == nullptr);
    CHECK(log.birth() == 100);
    CHECK(log.next() == 102);
}

TEST_CASE("a log that begins later begins with a greater number") {
    const EventLog first;
    const EventLog second;
    CHECK(second.birth() >= first.birth());
    CHECK(first.birth() > 1'700'000'000'000'000);  // microseconds since 1970
    CHECK(first.oldest() == first.next());
}

TEST_CASE("beyond its bound in number the oldest events are forgotten") {
    EventLog log({.events = 3}, 1);
    for (int i = 0; i < 5; ++i)
        log.append(EventKind::accepted, operation_named("a"));
    CHECK(log.oldest() == 3);
    CHECK(log.find(2) == nullptr);
    REQUIRE(log.find(3) != nullptr);
    CHECK(log.find(3)->sequence == 3);
    CHECK(log.birth() == 1);
}

TEST_CASE("beyond its bound in bytes the oldest events are forgotten, and the newest never is") {
    EventLog log({.events = 1000, .bytes = 100'000}, 1);
    for (OperationId id = 1; id <= 10; ++id)
        log.append(EventKind::accepted, operation_named("a", id, 30'000));
    CHECK(kept(log) == 3);
    log.append(EventKind::cancel, nullptr, {{"message", std::string(1'000'000, 'm')}});
    CHECK(kept(log) == 1);
    log.append(EventKind::signal, nullptr);
    CHECK(log.find(log.next() - 1)->kind == EventKind::signal);
    CHECK(kept(log) == 1);
}

TEST_CASE("what many events share is counted once") {
    EventLog log({.events = 1000, .bytes = 100'000}, 1);
    const Snapshot large = operation_named("a", 1, 60'000);
    for (int i = 0; i < 50; ++i)
        log.append(EventKind::signal, large);
    CHECK(kept(log) == 50);
    // Once none of them is left, what they shared is let go as well.
    for (int i = 0; i < 200; ++i)
        log.append(EventKind::signal, operation_named("b", 2));
    for (OperationId id = 3; id < 6; ++id)
        log.append(EventKind::accepted, operation_named("c", id, 30'000));
    CHECK(log.find(log.next() - 3) != nullptr);
}

TEST_CASE("a listener is told of each event") {
    EventLog log({.events = 2}, 1);
    int told = 0;
    log.on_append([&] { ++told; });
    for (int i = 0; i < 5; ++i)
        log.append(EventKind::status, nullptr);
    CHECK(told == 5);
}

TEST_CASE("every kind of event has a name of its own") {
    for (const auto& [kind, name] : kEventKinds) {
        CHECK(to_string(kind) == name);
        CHECK(parse_event_kind(name) == kind);
    }
    CHECK_FALSE(parse_event_kind("nonsense"));
}

TEST_SUITE_END();

}  // namespace cancelable
