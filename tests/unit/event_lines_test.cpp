#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "cli/render/events.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

View plain(std::optional<std::size_t> width = std::nullopt) {
    return {width, Palette(false), WallTime{}};
}

json event_of(const std::string& kind, json fields = json::object()) {
    fields.update(json{{"sequence", 1},
                       {"time", "2026-03-01T09:05:00.250Z"},
                       {"kind", kind},
                       {"id", 12},
                       {"name", "train"},
                       {"tags", json::object()},
                       {"parent", nullptr},
                       {"status", "running"}});
    return fields;
}

// Without the time, which depends on where one lives.
std::string said(const json& event, const View& view = plain()) {
    EventLines lines;
    const std::string line = lines.line(event, view);
    REQUIRE(line.size() > 14);
    CHECK(line.substr(5, 7) == ":00.250");
    return line.substr(14);
}

}  // namespace

TEST_SUITE_BEGIN("event lines");

TEST_CASE("each kind of event is said in few words") {
    CHECK(said(event_of("accepted")) == " 12  train     accepted\n");
    CHECK(said(event_of("status", {{"from", "pending"}, {"to", "running"}})) == " 12  train     running\n");
    CHECK(said(event_of("cancel", {{"reason", "manual"},
                                   {"message", "enough"},
                                   {"by", {{"uid", 1000}, {"pid", 77}}},
                                   {"signal", "SIGTERM"},
                                   {"grace", 2.5},
                                   {"now", false},
                                   {"hurries", false}})) ==
          " 12  train     cancel      manual: enough, SIGTERM, 2.5s grace, by process 77\n");
    CHECK(said(event_of(
              "cancel",
              {{"reason", "manual"}, {"by", {{"uid", 0}, {"pid", 0}}}, {"now", true}, {"hurries", true}})) ==
          " 12  train     cancel      once more, manual, at once\n");
    CHECK(said(event_of("signal", {{"signal", "SIGKILL"}, {"to", "tree"}})) ==
          " 12  train     signal      SIGKILL to the tree\n");
    CHECK(
        said(event_of("ended",
                      {{"to", "failed"}, {"exit", {{"code", 3}}}, {"duration", 1.5}, {"meanwhile", true}})) ==
        " 12  train     failed      exit 3, after 1.5s, while no supervisor was there\n");
}

TEST_CASE("kinds and fields of a later supervisor are shown as they are") {
    CHECK(said(event_of("shielded", {{"for", 2}, {"why", "commit"}})) ==
          " 12  train     shielded    for 2, why commit\n");
}

TEST_CASE("what an event says cannot move the cursor, and is cut to the terminal") {
    const std::string line =
        said(event_of("cancel", {{"reason", "manual"}, {"message", "a\x1b[2J\nb"}, {"now", true}}));
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK(line.find('\n') == line.size() - 1);
    const std::string cut =
        said(event_of("cancel", {{"reason", "manual"}, {"message", std::string(500, 'm')}}), plain(80));
    CHECK(cut.size() < 80);
}

TEST_CASE("lines below each other are aligned as far as they have seen longer names") {
    EventLines lines;
    json longer = event_of("accepted");
    longer["name"] = "a_longer_name";
    const std::string first = lines.line(longer, plain());
    const std::string second = lines.line(event_of("accepted"), plain());
    CHECK(first.find("accepted") == second.find("accepted"));
}

TEST_CASE("events that are missing are said to be") {
    CHECK(EventLines::missed_line({{"from", 3}, {"to", 9}, {"reason", "behind"}}, plain()) ==
          "-- events 3 to 9 were missed: they are not remembered any more\n");
    CHECK(EventLines::missed_line({{"from", 3}, {"to", 9}, {"reason", "restart"}}, plain())
              .find("another supervisor") != std::string::npos);
    CHECK(EventLines::missed_line({{"from", 3}, {"to", 3}, {"reason", "too_large"}}, plain()) ==
          "-- events 3 to 3 were missed\n");
}

TEST_SUITE_END();

}  // namespace cancelable::cli
