#include "engine/sources/parse.h"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <ctime>

#include "engine/sources/expression.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

SourceExpression parsed(std::string_view text) {
    auto source = parse_source(text);
    if (!source) FAIL(source.error().sentence());
    return std::move(*source);
}

std::string complaint(std::string_view text) {
    const auto source = parse_source(text);
    if (source) FAIL("understood as " << source->text);
    CHECK(source.error().code == ErrorCode::usage);
    CHECK(source.error().sentence().find('\n') == std::string::npos);
    return source.error().sentence();
}

// A time zone for one test.
struct Zone {
    explicit Zone(const char* name) {
        ::setenv("TZ", name, 1);
        ::tzset();
    }
    ~Zone() {
        ::unsetenv("TZ");
        ::tzset();
    }
};

WallTime at(std::string_view text, WallTime now) {
    const auto time = parse_point_in_time(text, now);
    if (!time) FAIL(time.error().sentence());
    return *time;
}

}  // namespace

TEST_CASE("every source is understood") {
    CHECK(parsed("timeout:1.5m").duration == 90s);
    CHECK(parsed("idle:60").duration == 60s);
    CHECK(parsed("rss:2GiB").size == 2ULL << 30);
    CHECK(parsed("rss:2G,for=5s").duration == 5s);
    CHECK(parsed("cpu:150.5,for=60s").number == 150.5);
    CHECK_FALSE(parsed("cpu:5,for=60s").is_below);
    CHECK(parsed("cpu:<5%, for=60s").is_below);
    CHECK(parsed("processes:100").number == 100);
    CHECK(parsed("host-memory:95%").number == 95);
    CHECK(parsed("host-load:16").kind == SourceKind::host_load);
    const SourceExpression disk = parsed("disk:/data,90");
    CHECK(disk.path == "/data");
    CHECK(disk.number == 90);
    CHECK(parsed("disk:'/a,b',90%,for=1m").path == "/a,b");
    CHECK(parsed("file:a b.txt").path == "a b.txt");
    CHECK(parsed("signal:usr1").signal == SIGUSR1);
    CHECK(parsed("parent").kind == SourceKind::parent);
    CHECK(parsed(" disconnect ").kind == SourceKind::disconnect);
    CHECK(parsed("manual").kind == SourceKind::manual);
}

TEST_CASE("a condition command is quoted in either way and has a period") {
    CHECK(parsed("cmd:'test -e \"x\", or not'").command == "test -e \"x\", or not");
    CHECK(parsed(R"(cmd:"say \"hi\" \\ \n")").command == R"(say "hi" \ \n)");
    CHECK(parsed("cmd:test -e stop").command == "test -e stop");
    CHECK(parsed("cmd:true").duration == 5s);
    CHECK(parsed("cmd:'true', every = 100ms").duration == 100ms);
}

TEST_CASE("compositions nest and a comma belongs to whom it fits") {
    const SourceExpression source =
        parsed("all( idle:60s, cpu:5,for=60s, any(file:'a', rss:1G ,for=1s,file:b))");
    REQUIRE(source.members.size() == 3);
    CHECK(source.members[1].duration == 60s);
    REQUIRE(source.members[2].members.size() == 3);
    CHECK(source.members[2].members[1].duration == 1s);
    CHECK(source.mentions(SourceKind::file));
    CHECK_FALSE(source.mentions(SourceKind::at));
    CHECK(source.text == "all(idle:60s, cpu:5,for=60s, any(file:'a', rss:1G ,for=1s, file:b))");
    CHECK(parsed(source.text).text == source.text);
}

TEST_CASE("what cannot be understood is refused with its column") {
    CHECK(complaint("idle:6x").find("column 6: \"6x\" is no duration") != std::string::npos);
    CHECK(complaint("all(idle:60s, cpu:5)").find("column 20: cpu needs for=DURATION") != std::string::npos);
    CHECK(complaint("all(idle:60s, tea)").find("column 15: \"tea\" is no source") != std::string::npos);
    CHECK(complaint("all(idle:60s").find("column 13: a comma or a closing parenthesis") != std::string::npos);
    CHECK(complaint("all").find("column 4") != std::string::npos);
    CHECK(complaint("any()").find("column 5: a source is missing") != std::string::npos);
    CHECK(complaint("any(file:a,)").find("column 12: a source is missing") != std::string::npos);
    CHECK(complaint("").find("column 1: a source is missing") != std::string::npos);
    CHECK(complaint("cmd:'x").find("column 5: a quote is not closed") != std::string::npos);
    CHECK(complaint("cmd:''").find("column 5: a value is missing") != std::string::npos);
    CHECK(complaint("idle").find("column 5: idle needs a colon") != std::string::npos);
    CHECK(complaint("idle:").find("column 6: a value is missing") != std::string::npos);
    CHECK(complaint("idle:1s,for=2s").find("column 9: idle takes no \"for\"") != std::string::npos);
    CHECK(complaint("rss:1G,every=2s").find("but for=DURATION") != std::string::npos);
    CHECK(complaint("idle:1s x").find("column 6") != std::string::npos);
    CHECK(complaint("parent)").find("column 7: here it should end") != std::string::npos);
    CHECK(complaint("disk:/data").find("column 11: a second value is missing") != std::string::npos);
    CHECK(complaint("signal:NOPE").find("column 8: \"NOPE\" is no signal") != std::string::npos);
    CHECK(complaint("file:a,b").find("quote a comma") != std::string::npos);
    CHECK(complaint(std::string_view("file:a\0b", 8)).find("zero byte") != std::string::npos);
    CHECK(complaint(std::string(5000, 'x')).find("at most 4096") != std::string::npos);
    std::string deep;
    for (int i = 0; i < 100; ++i)
        deep += "any(";
    CHECK(complaint(deep).find("nested too deeply") != std::string::npos);
    CHECK(complaint("\x1b[31m").find('\x1b') == std::string::npos);
}

TEST_CASE("numbers that are none, negative, zero or beyond all bounds are refused") {
    for (const char* number :
         {"-1", "nan", "inf", "1e3", "0x10", "", "0", "1.2.3", "+1", "99999999999999999999999"})
        for (const std::string name : {"processes:", "host-load:", "host-memory:", "cpu:<", "disk:/,"}) {
            CAPTURE(name);
            CAPTURE(number);
            const auto source = parse_source(name + number + (name == "cpu:<" ? ",for=1s" : ""));
            CHECK_FALSE(source);
        }
    CHECK_FALSE(parse_source("processes:1.5"));
    CHECK_FALSE(parse_source("host-memory:101"));
    for (const char* bad : {"timeout:-1s", "timeout:0", "idle:0s", "idle:nan", "idle:999999999d", "rss:-1",
                            "rss:0", "rss:99999999T", "cpu:5,for=-1s", "cmd:x,every=0", "cmd:x,every=1y"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_source(bad));
    }
}

TEST_CASE("points in time are read in their zone") {
    const WallTime noon = WallTime(std::chrono::sys_days(2026y / 3 / 1) + 12h);
    CHECK(at("2026-03-01T12:00:00Z", noon) == noon);
    CHECK(at("2026-03-01T13:30:00.25+01:30", noon) == noon + 250ms);
    CHECK(at("2026-03-01 07:00:00-05:00", noon) == noon);
    const Zone zone("UTC-2");  // two hours ahead
    CHECK(at("2026-03-01 14:00", noon) == noon);
    CHECK(at("14:30", noon) == noon + 30min);
    CHECK(at("14:00", noon) == noon + 24h);
    CHECK(at("00:15:30", noon) == noon + 10h + 15min + 30s);
    for (const char* bad : {"", "25:00", "12:60", "1:00", "2026-02-30T00:00:00Z", "2026-13-01 00:00",
                            "12:00Z", "2026-03-01", "2026-03-01T12:00:00Zx", "-1:00", "tomorrow"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_point_in_time(bad, noon));
    }
}

TEST_CASE("a local hour that daylight saving leaves out is read all the same") {
    const Zone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    const WallTime before = WallTime(std::chrono::sys_days(2026y / 3 / 28) + 23h);  // midnight there
    // At two the clock is put forward to three.
    CHECK(at("02:30", before) == before + 2h + 30min);
    CHECK(at("04:00", before) == before + 3h);
}

TEST_CASE("a point in time is kept in a form that means the same everywhere") {
    const Zone zone("UTC-2");
    const WallTime noon = WallTime(std::chrono::sys_days(2026y / 3 / 1) + 12h);
    const auto source = parse_source("any(at:14:30, parent)", noon);
    REQUIRE(source);
    CHECK(source->text == "any(at:2026-03-01T12:30:00Z, parent)");
    const Zone elsewhere("UTC+7");
    CHECK(parse_source(source->text)->members[0].at == noon + 30min);
}

TEST_CASE("what the shim can keep is written into the description") {
    OperationSpec spec;
    spec.timeout = 60s;
    spec.cancel_on = {"timeout:2m", "any(timeout:30s, at:2026-03-01T12:00:00Z)",
                      "all(disconnect, timeout:1s)"};
    const auto sources = settle_sources(spec, false);
    REQUIRE(sources);
    CHECK(sources->size() == 4);
    CHECK(spec.timeout == 30s);
    CHECK(spec.deadline == WallTime(std::chrono::sys_days(2026y / 3 / 1) + 12h));
    CHECK(spec.disconnect_is_member);

    OperationSpec both;
    both.cancel_on = {"all(disconnect, file:x)", "disconnect"};
    CHECK(settle_sources(both, false));
    CHECK_FALSE(both.disconnect_is_member);
}

TEST_CASE("silence of a log cannot be told where there is none") {
    OperationSpec spec;
    spec.cancel_on = {"any(file:x, idle:1s)"};
    CHECK(settle_sources(spec, true));
    const auto refused = settle_sources(spec, false);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::usage);
    CHECK(refused.error().sentence().find("--log") != std::string::npos);
    OperationSpec many;
    many.cancel_on.assign(65, "manual");
    CHECK_FALSE(settle_sources(many, true));
}

}  // namespace cancelable
