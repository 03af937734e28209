// What happens to operations, as the verb `events` tells it: in order, each thing once, and no gap unsaid.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

std::vector<Json> lines_of(const std::string& text) {
    std::vector<Json> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(Json::parse(line));
    return lines;
}

// The events of one operation, in short.
Words story(const std::vector<Json>& events, const std::string& id) {
    Words told;
    for (const Json& event : events) {
        if (event.value("id", 0UL) != std::stoul(id)) continue;
        std::string line = event.at("kind");
        for (const char* detail : {"signal", "to", "reason"})
            if (event.contains(detail)) line += " " + event.at(detail).get<std::string>();
        told.push_back(line);
    }
    return told;
}

// Numbers grow, no number comes twice, and what is left out was said to be missed.
void check_no_gap_unsaid(const std::vector<Json>& lines) {
    unsigned long last = 0;
    for (const Json& line : lines) {
        CAPTURE(line.dump());
        if (line.at("kind") == "missed") {
            CHECK(line.at("from").get<unsigned long>() == last + 1);
            last = line.at("to").get<unsigned long>();
            continue;
        }
        const auto sequence = line.at("sequence").get<unsigned long>();
        if (last != 0) CHECK(sequence == last + 1);
        last = sequence;
    }
}

const Words kUntilNow{"events", "--json", "--no-follow"};

}  // namespace

TEST_SUITE_BEGIN("events");

TEST_CASE("events tells the life of a cancelled operation in order, up to the signals that it needed") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"-n", "stubborn", "--tag", "k=v", "--grace", "150ms"},
                                          {Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", id, "-m", "enough"}).status == 0);
    const auto events = lines_of(sandbox.run(kUntilNow).out);
    CHECK(story(events, id) == Words{"accepted", "status running", "cancel SIGTERM manual",
                                     "status cancelling", "signal SIGTERM tree", "signal SIGKILL tree",
                                     "ended cancelled manual"});
    check_no_gap_unsaid(events);
    const Json& end = events.back();
    CHECK(end.at("name") == "stubborn");
    CHECK(end.at("tags") == Json{{"k", "v"}});
    CHECK(end.at("message") == "enough");
    CHECK(end.at("signals") == Json{"SIGTERM", "SIGKILL"});
    CHECK(end.at("exit") == Json{{"signal", "SIGKILL"}});
    CHECK_FALSE(end.at("meanwhile").get<bool>());
}

TEST_CASE("events tells a request that only hurries, and a timeout") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        sandbox.detach({"--timeout", "2s", "--grace", "1h"}, {Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    wait_until("the timeout", [&] { return sandbox.show(id).at("status") == "cancelling"; });
    CHECK(sandbox.run({"cancel", id, "--now"}).status == 0);
    const auto events = lines_of(sandbox.run({"events", id, "--json", "--no-follow"}).out);
    CHECK(story(events, id) == Words{"accepted", "status running", "cancel SIGTERM timeout",
                                     "status cancelling", "signal SIGTERM tree", "cancel manual",
                                     "signal SIGKILL tree", "ended timeout timeout"});
    CHECK(events.at(5).at("hurries") == true);
    CHECK(events.at(5).at("now") == true);
}

TEST_CASE("events follows as things happen, narrowed by a selector and by kinds, until it is interrupted") {
    Sandbox sandbox;
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    Child narrowed = sandbox.start({"events", "job_*", "--json", "--kind", "ended", "-n", "100"});
    Child all = sandbox.start({"events", "-n", "100"});
    sandbox.detach({"-n", "job_1"}, {"true"});
    sandbox.detach({"-n", "other"}, {"true"});
    sandbox.detach({"-n", "job_2"}, {"sh", "-c", "exit 3"});
    narrowed.wait_for_output("job_2");
    all.wait_for_output("exit 3");
    narrowed.signal(SIGINT);
    all.signal(SIGTERM);
    const Finished finished = narrowed.wait();
    CHECK(finished.status == 130);
    CHECK(all.wait().status == 143);
    const auto events = lines_of(finished.out);
    REQUIRE(events.size() == 2);
    CHECK(events[0].at("name") == "job_1");
    CHECK(events[0].at("to") == "completed");
    CHECK(events[1].at("exit") == Json{{"code", 3}});
}

TEST_CASE("events goes on across a killed supervisor, says so, and tells nothing twice") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("makes_session"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    Child watching = sandbox.start({"events", "--json", "-n", "100"});
    watching.wait_for_output("\"to\":\"running\"");
    sandbox.kill_supervisor();
    watching.wait_for_error("waiting for the next one");
    // Who only watches starts no supervisor.
    CHECK_FALSE(sandbox.supervisor().has_value());
    const std::string next = sandbox.detach({}, {"true"});
    CHECK(sandbox.run({"wait", next}).status == 0);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    watching.wait_for_output("\"to\":\"cancelled\"");
    watching.signal(SIGINT);
    const Finished finished = watching.wait();
    CHECK(finished.status == 130);
    const auto lines = lines_of(finished.out);
    check_no_gap_unsaid(lines);
    CHECK(story(lines, id) == Words{"accepted", "status running", "adopted", "cancel SIGTERM manual",
                                    "status cancelling", "signal SIGTERM tree", "ended cancelled manual"});
    CHECK(story(lines, next) == Words{"accepted", "status running", "ended completed"});
    const auto missed = std::ranges::count_if(lines, [](const Json& line) {
        return line.at("kind") == "missed" && line.at("reason") == "restart";
    });
    CHECK(missed == 1);
}

TEST_CASE("an end that came while no supervisor was there is told by the next one") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id =
        sandbox.detach({}, {Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    REQUIRE(up.wait_for_line() == "up");
    Child watching = sandbox.start({"events", "--json", "-n", "100"});
    watching.wait_for_output("\"to\":\"running\"");
    const Witness tree = sandbox.tree();
    sandbox.kill_supervisor();
    go.go();
    tree.wait_until_gone();
    wait_until("the shim to leave", [&] { return sandbox.shims().empty(); });
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    watching.wait_for_output("\"meanwhile\":true");
    watching.signal(SIGINT);
    const auto lines = lines_of(watching.wait().out);
    CHECK(story(lines, id) == Words{"accepted", "status running", "ended failed"});
    CHECK(lines.back().at("exit") == Json{{"code", 7}});
}

TEST_CASE("events that were seen are not seen again when going on behind their number") {
    Sandbox sandbox;
    const std::string first = sandbox.detach({}, {"true"});
    CHECK(sandbox.run({"wait", first}).status == 0);
    const auto seen = lines_of(sandbox.run(kUntilNow).out);
    REQUIRE(!seen.empty());
    const std::string second = sandbox.detach({}, {"true"});
    CHECK(sandbox.run({"wait", second}).status == 0);
    const auto last = std::to_string(seen.back().at("sequence").get<unsigned long>());
    const auto rest = lines_of(sandbox.run({"events", "--json", "--no-follow", "--after", last}).out);
    CHECK(story(rest, first) == Words{});
    CHECK(story(rest, second) == Words{"accepted", "status running", "ended completed"});
    CHECK(rest.front().at("sequence").get<unsigned long>() == std::stoul(last) + 1);
}

TEST_CASE("events waits for a first supervisor, and misses nothing of it") {
    Sandbox sandbox;
    Child watching = sandbox.start({"events", "--json"});
    watching.wait_for_error("waiting for the next one");
    CHECK_FALSE(sandbox.supervisor().has_value());
    const std::string id = sandbox.detach({}, {"true"});
    watching.wait_for_output("\"kind\":\"ended\"");
    watching.signal(SIGINT);
    const Finished finished = watching.wait();
    CHECK(finished.status == 130);
    CHECK(story(lines_of(finished.out), id) == Words{"accepted", "status running", "ended completed"});
}

TEST_CASE("a reader that has gone away ends events") {
    Sandbox sandbox;
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    Child watching = sandbox.start({"events"});
    watching.take_out().reset();
    CHECK(watching.wait().status == 141);
}

TEST_CASE("bad words for events are usage errors, and without a supervisor there is nothing to print") {
    Sandbox sandbox;
    const Finished kind = sandbox.run({"events", "--kind", "endde"});
    CHECK(kind.status == 2);
    CHECK(kind.err.find("ended") != std::string::npos);
    CHECK(sandbox.run({"events", "--after", "1", "--replay", "1"}).status == 2);
    CHECK(sandbox.run({"events", "--no-follow"}).status == 125);
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
