#include "engine/shim/shields.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <csignal>
#include <utility>

using namespace cancelable;
using namespace std::chrono_literals;

namespace {

struct Ends {
    UniqueFd shield;
    UniqueFd process;
};

Ends socket_pair() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    return {UniqueFd(pair[0]), UniqueFd(pair[1])};
}

const StopPlan kPolite{{SIGTERM, 10s}};
const Shields::Clock::time_point kStart{1h};

}  // namespace

TEST_CASE("without a shield nothing is held back") {
    Shields shields;
    CHECK_FALSE(shields.hold(kPolite, kStart));
    CHECK_FALSE(shields.is_holding());
    CHECK_FALSE(shields.until());
    CHECK(shields.fd() == -1);
}

TEST_CASE("what is held is due when the last shield is over, and not before") {
    Shields shields;
    Ends first = socket_pair();
    Ends second = socket_pair();
    REQUIRE(shields.add(std::move(first.shield), 30s));
    REQUIRE(shields.add(std::move(second.shield), 30s));
    CHECK(shields.count() == 2);
    CHECK(shields.hold(kPolite, kStart));
    CHECK(shields.take_due(kStart + 1s).empty());
    first.process.reset();
    CHECK(shields.drop_closed());
    CHECK_FALSE(shields.drop_closed());
    CHECK(shields.take_due(kStart + 2s).empty());
    second.process.reset();
    CHECK(shields.drop_closed());
    CHECK(shields.count() == 0);
    const auto due = shields.take_due(kStart + 3s);
    REQUIRE(due.size() == 1);
    CHECK(due.front().front().signal == SIGTERM);
    CHECK_FALSE(shields.is_holding());
    CHECK(shields.take_due(kStart + 3s).empty());
}

TEST_CASE("a shield holds back for its limit at most, counted from the cancelation") {
    Shields shields;
    Ends ends = socket_pair();
    REQUIRE(shields.add(std::move(ends.shield), 5s));
    CHECK_FALSE(shields.until());
    CHECK(shields.hold(kPolite, kStart));
    CHECK(shields.until() == kStart + 5s);
    CHECK(shields.take_due(kStart + 4999ms).empty());
    CHECK(shields.take_due(kStart + 5s).size() == 1);
}

TEST_CASE("a later shield does not begin the holding anew") {
    Shields shields;
    Ends first = socket_pair();
    Ends second = socket_pair();
    REQUIRE(shields.add(std::move(first.shield), 5s));
    CHECK(shields.hold(kPolite, kStart));
    REQUIRE(shields.add(std::move(second.shield), 8s));
    first.process.reset();
    shields.drop_closed();
    CHECK(shields.until() == kStart + 8s);
    CHECK(shields.take_due(kStart + 7s).empty());
    CHECK(shields.take_due(kStart + 8s).size() == 1);
}

TEST_CASE("straight to SIGKILL is never held back, and neither is anything under a limit of zero") {
    Shields shields;
    Ends ends = socket_pair();
    REQUIRE(shields.add(std::move(ends.shield), 0s));
    CHECK_FALSE(shields.hold(kPolite, kStart));
    Ends longer = socket_pair();
    REQUIRE(shields.add(std::move(longer.shield), 30s));
    CHECK_FALSE(shields.hold({}, kStart));
    CHECK(shields.hold(kPolite, kStart));
    shields.break_all();
    CHECK_FALSE(shields.is_holding());
}

TEST_CASE("of many requests that are held the first and the shortest are kept") {
    Shields shields;
    Ends ends = socket_pair();
    REQUIRE(shields.add(std::move(ends.shield), 30s));
    for (const auto grace : {10s, 9s, 3s, 7s})
        CHECK(shields.hold({{SIGTERM, grace}}, kStart));
    const auto due = shields.take_due(kStart + 30s);
    REQUIRE(due.size() == 2);
    CHECK(due.front().front().wait == 10s);
    CHECK(due.back().front().wait == 3s);
}

TEST_CASE("a shield whose descriptor cannot be watched is not taken, nor is one too many") {
    Shields shields;
    CHECK_FALSE(shields.add(UniqueFd(), 1s));
    std::vector<Ends> all;
    for (std::size_t i = 0; i < Shields::kLimit; ++i) {
        all.push_back(socket_pair());
        REQUIRE(shields.add(std::move(all.back().shield), 1s));
    }
    Ends one_more = socket_pair();
    CHECK_FALSE(shields.add(std::move(one_more.shield), 1s));
    CHECK(shields.count() == Shields::kLimit);
}
