// What the verbs that look show: tables for people, the JSON of the contract for programs.
#include <doctest/doctest.h>

#include <csignal>
#include <regex>

#include <sstream>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

void check_has(const Json& object, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
        CAPTURE(key);
        CHECK(object.contains(key));
    }
}

bool is_timestamp(const Json& value) {
    static const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
    return value.is_string() && std::regex_match(value.get<std::string>(), form);
}

const std::vector<std::string> kOperationKeys{"id",         "name",     "status",   "command",  "cwd",
                                              "tags",       "parent",   "pid",      "detached", "created_at",
                                              "started_at", "ended_at", "duration", "exit",     "timeout",
                                              "grace",      "cancel",   "usage",    "log"};

}  // namespace

TEST_SUITE_BEGIN("views");

TEST_CASE("no verb is list and live operations are listed") {
    Sandbox sandbox;
    CHECK(sandbox.run({}).status == 0);
    CHECK(sandbox.json({"list", "--json"}) == Json::array());
    const std::string id = sandbox.detach({"-n", "listed"}, {"sleep", "1000"});
    sandbox.run({"run", "-n", "ended", "true"});
    for (const Words& arguments : {Words{}, Words{"list"}, Words{"ls"}, Words{"ps"}}) {
        const Finished shown = sandbox.run(arguments);
        CHECK(shown.status == 0);
        CHECK(shown.out.find("listed") != std::string::npos);
        CHECK(shown.out.find("ended") == std::string::npos);
    }
    CHECK(sandbox.run({"list", "-q"}).out == id + "\n");
    CHECK(sandbox.run({"list", "--ids"}).out == id + "\n");
    CHECK(sandbox.run({"list", "-a"}).out.find("ended") != std::string::npos);
    CHECK(sandbox.json({"list", "-a", "--json"}).size() == 2);
    CHECK(sandbox.json({"list", "-a", "-n", "1", "--json"}).at(0).at("name") == "ended");
}

TEST_CASE("a list that selects nothing exits 1 and is an empty array all the same") {
    Sandbox sandbox;
    const Finished none = sandbox.run({"list", "no_such_*", "--json"});
    CHECK(none.status == 1);
    CHECK(Json::parse(none.out) == Json::array());
    CHECK(none.err != "");
}

TEST_CASE("list --tree shows children below their parents") {
    Sandbox sandbox;
    const std::string parent = sandbox.detach({"-n", "the_parent"}, {"sleep", "1000"});
    sandbox.detach({"-n", "unrelated"}, {"sleep", "1000"});
    sandbox.detach({"-n", "the_child", "--parent", parent}, {"sleep", "1000"});
    const Finished shown = sandbox.run({"list", "--tree"});
    CHECK(shown.status == 0);
    const auto at = [&](const char* name) { return shown.out.find(name); };
    CHECK(at("the_parent") < at("the_child"));
    CHECK(at("the_child") < at("unrelated"));
}

TEST_CASE("a tree is drawn with what the locale can show") {
    Sandbox sandbox;
    const auto child = [&](const std::string& name, const std::string& parent) {
        return sandbox.detach({"-n", name, "--parent", parent}, {"sleep", "1000"});
    };
    const std::string top = child("top", "none");
    child("leaf", child("middle", top));
    child("last", top);
    const auto names = [&](const Words& locale) {
        for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
            sandbox.unset_environment(name);
        for (std::size_t i = 0; i + 1 < locale.size(); i += 2)
            sandbox.set_environment(locale[i], locale[i + 1]);
        // Behind the id, up to the status.
        std::istringstream lines(sandbox.run({"list", "--tree"}).out);
        Words found;
        for (std::string line; std::getline(lines, line);)
            if (const auto status = line.find("  running"); status != std::string::npos) {
                const std::string name = line.substr(4, status - 4);
                found.push_back(name.substr(0, name.find_last_not_of(' ') + 1));
            }
        return found;
    };
    const Words drawn{"top", "├─ middle", "│  └─ leaf", "└─ last"};
    const Words typed{"top", "|- middle", "|  `- leaf", "`- last"};
    CHECK(names({"LC_ALL", "C.UTF-8"}) == drawn);
    CHECK(names({"LANG", "de_DE.utf8"}) == drawn);
    CHECK(names({"LC_ALL", "", "LC_CTYPE", "C.UTF-8", "LANG", "C"}) == drawn);
    CHECK(names({"LC_ALL", "C"}) == typed);
    CHECK(names({"LC_ALL", "C", "LANG", "C.UTF-8"}) == typed);
    CHECK(names({"LANG", "de_DE.ISO-8859-1"}) == typed);
    CHECK(names({}) == typed);
}

TEST_CASE("the JSON of a live operation has every field of the contract") {
    Sandbox sandbox;
    const std::string id = sandbox.detach(
        {"-n", "live", "--tag", "k=v", "--timeout", "1h", "--grace", "1500ms"}, {"sleep", "1000"});
    const Json operation = sandbox.show(id);
    check_has(operation, kOperationKeys);
    CHECK(operation.at("id").dump() == id);
    CHECK(operation.at("name") == "live");
    CHECK(operation.at("status") == "running");
    CHECK(operation.at("command") == Json::array({"sleep", "1000"}));
    CHECK(operation.at("cwd").is_string());
    CHECK(operation.at("tags") == Json{{"k", "v"}});
    CHECK(operation.at("parent") == nullptr);
    // The kernel lets go of who has called vfork() a moment before the words of the new program are there.
    const pid_t pid = operation.at("pid");
    wait_until("the command's words", [&] { return !command_line(pid).empty(); });
    CHECK(command_line(pid) == Words{"sleep", "1000"});
    CHECK(operation.at("detached") == true);
    CHECK(is_timestamp(operation.at("created_at")));
    CHECK(is_timestamp(operation.at("started_at")));
    CHECK(operation.at("ended_at") == nullptr);
    CHECK(operation.at("exit") == nullptr);
    CHECK(operation.at("timeout") == 3600.0);
    CHECK(operation.at("grace") == 1.5);
    CHECK(operation.at("cancel") == nullptr);
    CHECK(operation.at("log").is_string());
    Json listed = sandbox.json({"list", "--json"}).at(0);
    listed["duration"] = operation.at("duration");  // It goes on growing.
    // What only `show` tells: up to 64 KiB, and what is kept beside the record.
    listed["result"] = operation.at("result");
    listed["hook_failures"] = operation.at("hook_failures");
    CHECK(listed == operation);
}

TEST_CASE("the JSON of ended operations tells how they ended") {
    Sandbox sandbox;
    sandbox.run({"run", "-n", "one", "--", Sandbox::fixture("ends"), "exit", "3"});
    sandbox.run({"run", "-n", "two", "--", Sandbox::fixture("ends"), "signal", "11"});
    sandbox.run({"run", "-n", "three", "--timeout", "50ms", "--", "sleep", "1000"});
    sandbox.run({"run", "-n", "four", "true"});
    const Json all = sandbox.json({"list", "--all", "--json"});
    REQUIRE(all.size() == 4);
    const Json& one = all.at(0);
    check_has(one, kOperationKeys);
    CHECK(one.at("status") == "failed");
    CHECK(one.at("exit") == Json{{"code", 3}});
    CHECK(one.at("pid") == nullptr);
    CHECK(one.at("detached") == false);
    CHECK(one.at("log") == nullptr);
    CHECK(one.at("timeout") == nullptr);
    CHECK(is_timestamp(one.at("ended_at")));
    CHECK(one.at("duration").get<double>() >= 0);
    check_has(one.at("usage"), {"user", "system", "max_rss"});
    CHECK(all.at(1).at("exit") == Json{{"signal", "SIGSEGV"}});
    const Json& three = all.at(2);
    CHECK(three.at("status") == "timeout");
    check_has(three.at("cancel"),
              {"reason", "message", "by", "requested_at", "gone_at", "signals", "processes", "survivors"});
    CHECK(three.at("cancel").at("reason") == "timeout");
    CHECK(is_timestamp(three.at("cancel").at("gone_at")));
    CHECK(three.at("cancel").at("signals") == Json::array({"SIGTERM"}));
    CHECK(three.at("cancel").at("processes") == 1);
    CHECK(all.at(3).at("status") == "completed");
    CHECK(all.at(3).at("exit") == Json{{"code", 0}});
}

TEST_CASE("show tells people what there is to know") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({"-n", "shown", "--tag", "colour=blue"}, {"sleep", "1000"});
    for (const char* verb : {"show", "inspect"}) {
        const Finished shown = sandbox.run({verb, id});
        CHECK(shown.status == 0);
        for (const char* part : {"shown", "running", "sleep 1000", "colour", "blue"})
            CHECK_MESSAGE(shown.out.find(part) != std::string::npos, shown.out);
    }
}

TEST_CASE("stats counts what happened") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    sandbox.run({"run", "true"});
    sandbox.run({"run", "false"});
    const std::string deaf = sandbox.detach({"--grace", "50ms"}, {Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    sandbox.run({"cancel", deaf});
    sandbox.run({"run", "--timeout", "50ms", "sleep", "1000"});
    sandbox.detach({}, {"sleep", "1000"});
    const Json stats = sandbox.json({"stats", "--json"});
    check_has(stats, {"total_operations", "running_operations", "cancelled_operations", "active_operations",
                      "active_by_status", "history_size", "history_by_status", "total_completed",
                      "average_duration_seconds", "duration", "cancel_latency", "escalated", "supervisor"});
    CHECK(stats.at("total_operations") == 5);
    CHECK(stats.at("running_operations") == 1);
    CHECK(stats.at("active_operations") == 1);
    CHECK(stats.at("cancelled_operations") == 2);
    CHECK(stats.at("active_by_status").at("running") == 1);
    CHECK(stats.at("history_size") == 4);
    CHECK(stats.at("history_by_status").at("completed") == 1);
    CHECK(stats.at("history_by_status").at("failed") == 1);
    CHECK(stats.at("history_by_status").at("cancelled") == 1);
    CHECK(stats.at("history_by_status").at("timeout") == 1);
    CHECK(stats.at("escalated") == 1);
    check_has(stats.at("duration"), {"p50", "p90", "p99"});
    check_has(stats.at("cancel_latency"), {"p50", "p90", "p99"});
    check_has(stats.at("supervisor"), {"pid", "version", "protocol", "uptime", "socket", "rss"});
    CHECK(stats.at("supervisor").at("pid") == *sandbox.supervisor());
    CHECK(stats.at("supervisor").at("socket") == sandbox.socket());
    CHECK(stats.at("supervisor").at("rss").get<long>() > 0);
    const Finished shown = sandbox.run({"stats"});
    CHECK(shown.status == 0);
    CHECK(shown.out != "");
}

TEST_CASE("detached operations are logged and foreground ones not unless asked") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sh", "-c", "echo out; echo err >&2"});
    CHECK(sandbox.run({"wait", id}).status == 0);
    const Finished logs = sandbox.run({"logs", id});
    CHECK(logs.status == 0);
    CHECK(logs.out == "out\nerr\n");

    const std::string unlogged = sandbox.detach({"--no-log"}, {"echo", "nothing"});
    CHECK(sandbox.run({"wait", unlogged}).status == 0);
    CHECK(sandbox.show(unlogged).at("log") == nullptr);
    const Finished refused = sandbox.run({"logs", unlogged});
    CHECK(refused.status != 0);
    CHECK(refused.out == "");
    CHECK(refused.err != "");

    sandbox.run({"run", "--log", "-n", "logged", "echo", "to the log"});
    const Json operation = sandbox.json({"list", "--all", "logged", "--json"}).at(0);
    CHECK(sandbox.run({"logs", operation.at("id").dump()}).out == "to the log\n");
}

TEST_CASE("logs -n gives the last lines") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"seq", "1000"});
    CHECK(sandbox.run({"wait", id}).status == 0);
    CHECK(sandbox.run({"logs", id, "-n", "3"}).out == "998\n999\n1000\n");
    CHECK(sandbox.run({"logs", id, "-n", "0"}).out == "");
    CHECK(sandbox.run({"logs", id, "-n", "5000"}).out.starts_with("1\n2\n"));
}

TEST_CASE("logs -f goes on until the operation has ended") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    const std::string id =
        sandbox.detach({}, {"sh", "-c", "echo first; read x <" + go.path() + "; echo last; exit 7"});
    Child following = sandbox.start({"logs", id, "-f"});
    following.wait_for_output("first\n");
    CHECK_FALSE(following.has_ended());
    go.go();
    const Finished finished = following.wait();
    CHECK(finished.out == "first\nlast\n");
    CHECK(finished.status == 0);
}

TEST_CASE("current outside of an operation says that there is none") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"current"});
    CHECK(finished.status == 1);
    CHECK(finished.out == "");
    CHECK(finished.err != "");
}

TEST_CASE("list --watch shows what changes until it is interrupted") {
    Sandbox sandbox;
    sandbox.detach({"-n", "watched_one"}, {"sleep", "1000"});
    Child watching = sandbox.start({"list", "--watch"});
    watching.wait_for_output("watched_one");
    sandbox.detach({"-n", "watched_two"}, {"sleep", "1000"});
    watching.wait_for_output("watched_two");
    watching.signal(SIGINT);
    const int status = watching.wait().status;
    CHECK((status == 0 || status == 130));
}

TEST_CASE("-q and -v change what is said and not what is done") {
    Sandbox sandbox;
    CHECK(sandbox.run({"-q", "run", "--timeout", "50ms", "sleep", "1000"}).err == "");
    CHECK(sandbox.run({"-v", "run", "echo", "x"}).out == "x\n");
    // Errors are told all the same.
    CHECK(sandbox.run({"-q", "show", "999999"}).err != "");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
