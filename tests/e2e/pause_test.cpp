// Pausing, resuming and signalling whole trees.
#include <doctest/doctest.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// D: the parent of a vfork(), which the kernel holds until its child goes on, and that is stopped.
bool all_stopped(const std::vector<pid_t>& processes) {
    return std::ranges::all_of(processes,
                               [](pid_t pid) { return state_of(pid) == 'T' || state_of(pid) == 'D'; });
}

bool none_stopped(const std::vector<pid_t>& processes) {
    return std::ranges::none_of(processes, [](pid_t pid) { return state_of(pid) == 'T'; });
}

}  // namespace

TEST_SUITE_BEGIN("pause");

TEST_CASE("a pause stills the whole tree before it returns, and a resume continues it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("double_forks"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "paused");
    CHECK(sandbox.run({"resume", "--status", "paused"}).status == 0);
    CHECK(none_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"cancel", id}).status == 0);
}

TEST_CASE("a paused operation hears the polite signal when it is cancelled") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        sandbox.detach({"--grace", "1h"}, {Sandbox::fixture("announce_and_stay"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGTERM"}));
}

TEST_CASE("a pause outlives the supervisor, and the next one resumes it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("announce_and_stay"), up.path()});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    sandbox.kill_supervisor();
    CHECK(sandbox.show(id).at("status") == "paused");
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.run({"resume", id}).status == 0);
    CHECK(none_stopped(sandbox.strangers()));
}

TEST_CASE("a pause of a parent pauses its children, and a resume continues them") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "outer"}, {"sh", "-c",
                          Sandbox::program() + " run -d -n inner -- " +
                              Sandbox::fixture("announce_and_stay") + " " + up.path() + "; sleep 1000"});
    up.wait_for_line();
    CHECK(sandbox.run({"pause", id}).status == 0);
    CHECK(sandbox.list({"--status", "paused"}).size() == 2);
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.run({"resume", id}).status == 0);
    CHECK(sandbox.list({"--status", "running"}).size() == 2);
}

TEST_CASE("with --pause-timeouts a timeout does not run during a pause, and without it does") {
    Sandbox sandbox;
    // A machine may be so busy that the timeout comes before the pause: then it was too short for it.
    int seconds = 1;
    const auto pause_one = [&](Words options) {
        for (;; seconds *= 2) {
            REQUIRE(seconds < 100);
            Words all{"--timeout", std::to_string(seconds) + "s"};
            all.insert(all.end(), options.begin(), options.end());
            const std::string id = sandbox.detach(all, {"sleep", "1000"});
            if (sandbox.run({"pause", id}).status == 0) return id;
        }
    };
    const std::string held = pause_one({"--pause-timeouts"});
    REQUIRE(sandbox.show(held).at("status") == "paused");
    const std::string runs_on = pause_one({});
    CHECK(sandbox.run({"wait", runs_on}).status != 0);
    CHECK(sandbox.show(runs_on).at("status") == "timeout");
    // Its own time was no longer, and had begun before.
    CHECK(sandbox.show(held).at("status") == "paused");
    CHECK(sandbox.run({"resume", held}).status == 0);
    sandbox.run({"wait", held});
    CHECK(sandbox.show(held).at("status") == "timeout");
}

TEST_CASE("silence and idleness are not judged while an operation is paused, and again once it goes on") {
    Sandbox sandbox;
    const auto start = [&](int milliseconds) {
        const std::string time = std::to_string(milliseconds) + "ms";
        Words ids;
        for (const std::string& source :
             {"idle:" + time, "cpu:<50,for=" + time, "all(file:/, idle:" + time + ")"})
            ids.push_back(sandbox.detach({"--cancel-on", source}, {"sleep", "1000"}));
        return ids;
    };
    const auto every = [&](const Words& ids, const std::string& status) {
        return std::ranges::all_of(
            ids, [&](const std::string& id) { return sandbox.show(id).at("status") == status; });
    };
    const auto with = [](const std::string& verb, Words ids) {
        ids.insert(ids.begin(), verb);
        return ids;
    };
    // A machine may be so busy that a source fires before the pause: then it was too short for it.
    int milliseconds = 500;
    Words paused = start(milliseconds);
    while (sandbox.run(with("pause", paused)).status != 0 || !every(paused, "paused")) {
        REQUIRE(milliseconds < 100'000);
        sandbox.run({"cancel", "--all", "--now"});
        paused = start(milliseconds *= 2);
    }
    // Those that have not been still for as long fire meanwhile.
    const Words twins = start(milliseconds);
    CHECK(sandbox.run(with("wait", twins)).status == 1);
    CHECK(every(twins, "cancelled"));
    CHECK(every(paused, "paused"));
    CHECK(sandbox.run(with("resume", paused)).status == 0);
    CHECK(sandbox.run(with("wait", paused)).status == 1);
    for (std::size_t i = 0; i < paused.size(); ++i) {
        const Json cancel = sandbox.show(paused[i]).at("cancel");
        const Json twin = sandbox.show(twins[i]).at("cancel");
        CHECK(cancel.at("reason") == twin.at("reason"));
        CHECK(cancel.at("requested_at") > twin.at("requested_at"));
    }
}

TEST_CASE(
    "a cancelation that a shield holds back lets a paused operation go on, which cannot be paused then") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach(
        {}, {"sh", "-c",
             Sandbox::program() + " shield --for 1h -- sh -c 'echo up >" + up.path() + "; read x <" +
                 go.path() + "; echo complete >" + up.path() + "'; sleep 1000"});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    REQUIRE(sandbox.run({"pause", id}).status == 0);
    CHECK(all_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "paused");
    CHECK(sandbox.run({"cancel", id, "--no-wait"}).status == 0);
    sandbox.wait_until_held(id);
    CHECK(none_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "cancelling");
    CHECK(sandbox.run({"pause", id}).status != 0);
    CHECK(none_stopped(sandbox.strangers()));
    CHECK(tree.alive().size() == tree.size());
    go.go();
    CHECK(up.wait_for_line() == "complete");
    CHECK(sandbox.run({"wait", id}).status == 143);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGTERM"}));
}

TEST_CASE("a signal goes to the command alone or to the whole tree, and is no cancelation") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::fixture("double_forks"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"signal", id, "-s", "STOP"}).status == 0);
    const pid_t command = sandbox.command_of(id);
    wait_until("the command to stop", [&] { return state_of(command) == 'T'; });
    CHECK_FALSE(all_stopped(sandbox.strangers()));
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"signal", id, "-s", "RTMIN+1", "--tree"}).status == 0);
    CHECK(sandbox.run({"signal", id, "-s", "CONT"}).status == 0);
    tree.wait_until_gone();
    sandbox.run({"wait", id});
    CHECK(sandbox.show(id).at("status") == "failed");
    CHECK(sandbox.show(id).at("cancel") == nullptr);
    CHECK(sandbox.run({"signal", id, "-s", "TERM"}).status == 1);
    CHECK(sandbox.run({"signal", id}).status == 2);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
