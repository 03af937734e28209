// What cancels operations by itself. Each source has a twin that must not.
#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// Long enough that nobody who waits for it by mistake is taken for quick.
constexpr const char* kNever = "1000";

std::string start(Sandbox& sandbox, const std::string& source, Words command = {"sleep", kNever},
                  Words options = {}) {
    options.insert(options.end(), {"--cancel-on", source});
    return sandbox.detach(options, command);
}

// How it was cancelled, once it has ended.
Json cancelation(Sandbox& sandbox, const std::string& id) {
    sandbox.run({"wait", id});
    const Json record = sandbox.show(id);
    REQUIRE_MESSAGE(record.at("cancel").is_object(), record.dump());
    CHECK(record.at("cancel").at("requested_at") >= record.at("started_at"));
    CHECK(record.at("cancel").at("gone_at") >= record.at("cancel").at("requested_at"));
    CHECK(record.at("cancel").at("survivors").empty());
    return record.at("cancel");
}

bool runs(Sandbox& sandbox, const std::string& id) {
    return sandbox.show(id).at("status") == "running";
}

bool has(const Json& message, const std::string& part) {
    return message.get<std::string>().find(part) != std::string::npos;
}

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string utc(std::chrono::milliseconds from_now = {}) {
    const auto time = std::chrono::system_clock::now() + from_now;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count() % 1000;
    std::tm fields{};
    ::gmtime_r(&seconds, &fields);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", fields.tm_year + 1900,
                  fields.tm_mon + 1, fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec,
                  static_cast<int>(ms));
    return text;
}

}  // namespace

TEST_SUITE_BEGIN("sources");

TEST_CASE("a timeout among the sources is the timeout") {
    Sandbox sandbox;
    const std::string twin = start(sandbox, "timeout:1h");
    const std::string soon = utc(std::chrono::milliseconds(200));
    const Finished finished =
        sandbox.run({"run", "--timeout", "2h", "--cancel-on", "timeout:200ms", "sleep", kNever});
    CHECK(finished.status == 124);
    const Json record = sandbox.json({"list", "-a", "-n", "1", "--json"}).at(0);
    CHECK(record.at("status") == "timeout");
    CHECK(record.at("timeout") == 0.2);
    CHECK(record.at("cancel_on") == Json::array({"timeout:200ms"}));
    const Json cancel = cancelation(sandbox, record.at("id").dump());
    CHECK(cancel.at("reason") == "timeout");
    CHECK(cancel.at("message") == "it ran longer than its timeout");
    CHECK(cancel.at("requested_at") >= soon);
    CHECK(runs(sandbox, twin));
}

TEST_CASE("a deadline comes also where no supervisor is left") {
    Sandbox sandbox;
    const std::string twin = start(sandbox, "at:2199-01-01T00:00:00Z");
    const std::string soon = utc(std::chrono::seconds(4));
    const std::string id = start(sandbox, "at:" + soon);
    const Witness command({sandbox.command_of(id)});
    sandbox.kill_supervisor();
    command.wait_until_gone();
    CHECK_FALSE(sandbox.supervisor().has_value());
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("reason") == "timeout");
    CHECK(has(cancel.at("message"), "deadline"));
    CHECK(cancel.at("requested_at").get<std::string>() >= soon);
    CHECK(sandbox.show(id).at("status") == "timeout");
    CHECK(runs(sandbox, twin));
}

TEST_CASE("a deadline that is over cancels at once with the status of a timeout") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"run", "--cancel-on", "at:2001-01-01T00:00:00Z", "sleep", kNever});
    CHECK(finished.status == 124);
}

TEST_CASE("an operation that writes nothing is idle and one that goes on writing is not") {
    Sandbox sandbox;
    // The one that must not be found idle gets the shorter time, and writes twenty times a second.
    const std::string talks = start(
        sandbox, "idle:2500ms", {"sh", "-c", "while [ ! -e quiet ]; do echo x; sleep 0.05; done; exit 7"});
    const std::string silent = start(sandbox, "idle:2800ms");
    const Json cancel = cancelation(sandbox, silent);
    CHECK(cancel.at("reason") == "idle");
    CHECK(cancel.at("message") == "no output for 2.8 s");
    CHECK(sandbox.show(silent).at("status") == "cancelled");
    CHECK(runs(sandbox, talks));
    sandbox.write_file("quiet", "");
    CHECK(sandbox.run({"wait", talks}).status == 7);
}

TEST_CASE("the memory of a whole tree is bounded") {
    Sandbox sandbox;
    // Both eat in a child; the test is told once they have.
    Fifo up = sandbox.fifo();
    const Words eats{
        "sh", "-c",
        "x=$(head -c 48000000 /dev/zero | tr '\\0' x); echo up >" + up.path() + "; sleep 1000 & wait"};
    const std::string twin = start(sandbox, "rss:64G", eats);
    CHECK(up.wait_for_line() == "up");
    const std::string id = start(sandbox, "rss:32M", eats);
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("reason") == "resource");
    CHECK_MESSAGE(has(cancel.at("message"), "MiB over 32 MiB"), cancel.dump());
    CHECK(runs(sandbox, twin));
}

TEST_CASE("the use of processors is bounded above and below") {
    Sandbox sandbox;
    const std::string lazy_twin = start(sandbox, "cpu:50,for=1s");
    // Two loops that get no time that is counted from one look to the next but one: nothing is as busy as
    // that.
    const std::string busy_twin =
        start(sandbox, "cpu:<0.001,for=1s", {"sh", "-c", "while :; do :; done & while :; do :; done"});
    const std::string busy = start(sandbox, "cpu:1,for=1s", {"sh", "-c", "while :; do :; done"});
    const std::string lazy = start(sandbox, "cpu:<50,for=1s");
    Json cancel = cancelation(sandbox, busy);
    CHECK(cancel.at("reason") == "resource");
    CHECK_MESSAGE(has(cancel.at("message"), "over 1 % for 1 s"), cancel.dump());
    cancel = cancelation(sandbox, lazy);
    CHECK(cancel.at("reason") == "resource");
    CHECK_MESSAGE(has(cancel.at("message"), "under 50 % for 1 s"), cancel.dump());
    CHECK(runs(sandbox, lazy_twin));
    CHECK(runs(sandbox, busy_twin));
}

TEST_CASE("the processes of a tree are counted") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string twin =
        start(sandbox, "processes:4", {Sandbox::fixture("deaf"), up.path()}, {"--grace", "100ms"});
    up.wait_for_line();
    const std::string id =
        start(sandbox, "processes:3", {Sandbox::fixture("deaf"), up.path()}, {"--grace", "100ms"});
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("reason") == "resource");
    CHECK(cancel.at("message") == "processes 4 over 3");
    CHECK(runs(sandbox, twin));
    CHECK(sandbox.run({"cancel", twin}).status == 0);
}

TEST_CASE("the machine's memory, load and disks are looked at") {
    Sandbox sandbox;
    const Words twins{start(sandbox, "host-memory:100"), start(sandbox, "host-load:1000000"),
                      start(sandbox, "disk:/,100"), start(sandbox, "disk:/no/such/disk,1")};
    Json cancel = cancelation(sandbox, start(sandbox, "host-memory:0.001"));
    CHECK(cancel.at("reason") == "resource");
    CHECK_MESSAGE(has(cancel.at("message"), "the machine's memory"), cancel.dump());
    cancel = cancelation(sandbox, start(sandbox, "disk:/proc/self/cwd/..,0.0001"));
    CHECK(cancel.at("reason") == "resource");
    CHECK_MESSAGE(has(cancel.at("message"), "disk of /proc/self/cwd/.."), cancel.dump());
    {
        // A machine with nothing to do has no load; the kernel counts every five seconds.
        const auto load = [] { return std::strtod(text_of("/proc/loadavg").c_str(), nullptr); };
        const std::string busy = load() > 0.05 ? "" : sandbox.detach({}, {"sh", "-c", "while :; do :; done"});
        wait_until("some load", [&] { return load() > 0.05; });
        cancel = cancelation(sandbox, start(sandbox, "host-load:0.0001"));
        CHECK(cancel.at("reason") == "resource");
        CHECK_MESSAGE(has(cancel.at("message"), "the machine's load"), cancel.dump());
    }
    for (const std::string& twin : twins)
        CHECK(runs(sandbox, twin));
}

TEST_CASE("a file that appears cancels and other files do not") {
    Sandbox sandbox;
    const std::string twin = start(sandbox, "file:stop.never");
    const std::string id = start(sandbox, "file:signs/stop");
    const std::string direct = start(sandbox, "file:" + sandbox.path("elsewhere"));
    sandbox.make_directory("signs");
    sandbox.write_file("signs/stop.not", "");
    sandbox.write_file("stop", "");
    CHECK(runs(sandbox, id));
    const std::string before = utc();
    sandbox.write_file("signs/stop", "");
    Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("requested_at") >= before);
    CHECK(cancel.at("reason") == "condition");
    CHECK(cancel.at("message") == "file " + sandbox.path("signs/stop") + " is there");
    std::filesystem::create_directory_symlink("/nowhere", sandbox.path("elsewhere"));
    cancelation(sandbox, direct);
    CHECK(runs(sandbox, twin));
}

TEST_CASE("a condition command cancels once it exits with 0") {
    Sandbox sandbox;
    const std::string twin = start(sandbox, "cmd:'exit 1',every=100ms");
    const std::string id =
        start(sandbox, "cmd:'test -e stop && test \"$X\" = 7',every=100ms", {"sleep", kNever}, {"-e", "X=7"});
    CHECK(runs(sandbox, id));
    const std::string before = utc();
    sandbox.write_file("stop", "");
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("requested_at") >= before);
    CHECK(cancel.at("reason") == "condition");
    CHECK(cancel.at("message") == "condition 'test -e stop && test \"$X\" = 7' holds");
    CHECK(runs(sandbox, twin));
    // What the supervisor runs for itself is no operation.
    CHECK(sandbox.json({"list", "-a", "--json"}).size() == 2);
}

TEST_CASE("a condition command that floods, is missing or fails to start is harmless and the log says so") {
    Sandbox sandbox;
    const std::string flood = start(sandbox, "cmd:'yes; exit 1',every=100ms");
    const std::string missing = start(sandbox, "cmd:no-such-program,every=50ms");
    Fifo up = sandbox.fifo();
    // One that works meanwhile: others do not keep it from that.
    const std::string id = start(sandbox, "cmd:'test -e stop',every=50ms");
    const std::string log = sandbox.path("state/cancelable/supervisor.log");
    wait_until("the log to tell", [&] { return text_of(log).find("no-such-program") != std::string::npos; });
    CHECK(text_of(log).find("operation " + missing + ": the condition 'no-such-program' exited with 127") !=
          std::string::npos);
    sandbox.write_file("stop", "");
    CHECK(cancelation(sandbox, id).at("reason") == "condition");
    CHECK(runs(sandbox, flood));
    CHECK(runs(sandbox, missing));
}

TEST_CASE("a condition command that hangs is alone and ends with its operation") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        start(sandbox, "cmd:'echo up >" + up.path() + "; trap \"\" TERM; sleep 1000',every=1ms");
    CHECK(up.wait_for_line() == "up");
    const auto sleepers = [&] {
        std::size_t count = 0;
        for (const pid_t pid : sandbox.strangers())
            count += program_of(pid) == "sleep" ? 1 : 0;
        return count;
    };
    wait_until("both to sleep", [&] { return sleepers() == 2; });
    // Another operation comes and goes meanwhile: there was time for a second check.
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(sleepers() == 2);
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"cancel", id}).status == 0);
    tree.wait_until_gone();
}

TEST_CASE("a condition command ends with a supervisor that is killed and is not adopted") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = start(sandbox, "cmd:'echo up >" + up.path() + "; sleep 1000'");
    CHECK(up.wait_for_line() == "up");
    const pid_t command = sandbox.command_of(id);
    std::vector<pid_t> below = sandbox.strangers();
    std::erase(below, command);
    const Witness condition(below);
    CHECK(condition.size() > 0);
    sandbox.kill_supervisor();
    condition.wait_until_gone();
    // The next supervisor checks it anew.
    CHECK(sandbox.list().size() == 1);
    CHECK(runs(sandbox, id));
    CHECK(up.wait_for_line() == "up");
    CHECK(sandbox.json({"list", "-a", "--json"}).size() == 1);
    CHECK(sandbox.run({"cancel", id}).status == 0);
}

TEST_CASE("a signal that is sent by way of the supervisor is a source") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start(
        {"run", "--grace", "100ms", "--cancel-on", "signal:USR2", "--", Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const std::string id = sandbox.only_live_id();
    client.signal(SIGUSR1);
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(runs(sandbox, id));
    const std::string before = utc();
    client.signal(SIGUSR2);
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("requested_at") >= before);
    CHECK(cancel.at("reason") == "signal");
    CHECK(cancel.at("message") == "signal SIGUSR2 was sent to it");
    client.wait();
}

TEST_CASE("a parent that ends is a source, by itself, of any and within all") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    const std::string parent = sandbox.detach({"--orphans", "leave"}, {"sh", "-c", "read x <" + go.path()});
    const std::string other = sandbox.detach({"--orphans", "leave"}, {"sleep", kNever});
    const auto child = [&](const std::string& of, const std::string& source) {
        return start(sandbox, source, {"sleep", kNever}, {"--parent", of});
    };
    const Words children{child(parent, "parent"), child(parent, "any(parent, file:never)")};
    const std::string all = child(parent, "all(parent, file:go)");
    const Words twins{child(other, "parent"), child(parent, "file:never"), start(sandbox, "parent"),
                      start(sandbox, "any(parent, file:never)")};
    for (const std::string& id : children)
        CHECK(runs(sandbox, id));
    SUBCASE("that a supervisor sees") {
        go.go();
    }
    SUBCASE("while there is no supervisor") {
        const Witness shim({parent_of(sandbox.command_of(parent))});
        sandbox.kill_supervisor();
        go.go();
        shim.wait_until_gone();
    }
    const std::string message = "its parent, operation " + parent + ", has ended";
    for (const std::string& id : children) {
        const Json cancel = cancelation(sandbox, id);
        CHECK(cancel.at("reason") == "parent");
        CHECK(cancel.at("message") == message);
        CHECK(cancel.at("requested_at") >= sandbox.show(parent).at("ended_at"));
    }
    CHECK(sandbox.show(parent).at("status") == "completed");
    CHECK(runs(sandbox, all));
    const std::string before = utc();
    sandbox.write_file("go", "");
    const Json cancel = cancelation(sandbox, all);
    CHECK(cancel.at("reason") == "condition");
    CHECK(cancel.at("message") == message + ", and file " + sandbox.path("go") + " is there");
    CHECK(cancel.at("requested_at") >= before);
    for (const std::string& id : twins)
        CHECK(runs(sandbox, id));
}

TEST_CASE("a lost client is a source that is named or not, and so is who cancels by hand") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    std::vector<Child> clients;
    Words ids;
    const auto run = [&](const Words& options) {
        Words words{"run", "--grace", "1h"};
        words.insert(words.end(), options.begin(), options.end());
        words.insert(words.end(), {"--", Sandbox::fixture("announce_and_stay"), up.path()});
        clients.push_back(sandbox.start(words));
        up.wait_for_line();
        ids.push_back(sandbox.json({"list", "--json"}).back().at("id").dump());
        return ids.back();
    };
    const std::string alone = run({"--cancel-on", "disconnect"});
    const std::string any = run({"--cancel-on", "any(disconnect, file:never)"});
    const std::string twin = run({"--cancel-on", "disconnect"});
    const std::string manual = run({"--cancel-on", "manual"});
    const std::string any_manual = run({"--cancel-on", "any(manual, file:never)"});
    std::string before = utc();
    for (std::size_t i = 0; i < 2; ++i)
        clients[i].signal(SIGKILL);
    for (const std::string& id : {alone, any}) {
        const Json cancel = cancelation(sandbox, id);
        CHECK(cancel.at("reason") == "disconnect");
        CHECK(cancel.at("message") == "the client that started it is gone");
        CHECK(cancel.at("requested_at") >= before);
    }
    before = utc();
    for (const std::string& id : {manual, any_manual}) {
        CHECK(runs(sandbox, id));
        CHECK(sandbox.run({"cancel", id, "-m", "enough"}).status == 0);
        const Json cancel = cancelation(sandbox, id);
        CHECK(cancel.at("reason") == "manual");
        CHECK(cancel.at("message") == "enough");
        CHECK(cancel.at("requested_at") >= before);
    }
    CHECK(runs(sandbox, twin));
    CHECK(sandbox.run({"cancel", twin}).status == 0);
}

TEST_CASE("any is done with the first member and all with the last") {
    Sandbox sandbox;
    const std::string any = start(sandbox, "any(file:never, any(idle:1h, file:first))");
    const std::string all = start(sandbox, "all(file:first, any(file:never, file:second))");
    const std::string repeated =
        start(sandbox, "file:never", {"sleep", kNever}, {"--cancel-on", "file:first"});
    CHECK(sandbox.list({"--status", "running"}).size() == 3);
    std::string before = utc();
    sandbox.write_file("first", "");
    Json cancel = cancelation(sandbox, any);
    CHECK(cancel.at("reason") == "condition");
    CHECK(cancel.at("message") == "file " + sandbox.path("first") + " is there");
    CHECK(cancel.at("requested_at") >= before);
    CHECK(cancelation(sandbox, repeated).at("reason") == "condition");
    CHECK(runs(sandbox, all));
    CHECK(sandbox.show(all).at("cancel_on") ==
          Json::array({"all(file:first, any(file:never, file:second))"}));
    before = utc();
    sandbox.write_file("second", "");
    cancel = cancelation(sandbox, all);
    CHECK(cancel.at("requested_at") >= before);
    CHECK(cancel.at("reason") == "condition");
    CHECK(cancel.at("message") ==
          "file " + sandbox.path("first") + " is there, and file " + sandbox.path("second") + " is there");
}

TEST_CASE("within all a time that has come stays and a condition has to hold just then") {
    Sandbox sandbox;
    Fifo checked = sandbox.fifo();
    const std::string check = "cmd:'test -e on; r=$?; echo $r >" + checked.path() + "; exit $r',every=10ms";
    sandbox.write_file("on", "");
    const std::string id = start(sandbox, "all(timeout:1ms, " + check + ", file:go)");
    CHECK(checked.wait_for_line() == "0");
    std::filesystem::remove(sandbox.path("on"));
    while (checked.wait_for_line() != "1") {
    }
    // The supervisor has heard of it when it checks once more.
    checked.wait_for_line();
    sandbox.write_file("go", "");
    checked.wait_for_line();
    checked.wait_for_line();
    CHECK(runs(sandbox, id));
    sandbox.write_file("on", "");
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("reason") == "condition");
    CHECK_MESSAGE(has(cancel.at("message"), "it ran for 1 ms, and condition"), cancel.dump());
}

TEST_CASE("as a member of all a lost client is one condition of several, also after a killed supervisor") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "100ms", "--cancel-on", "all(disconnect, file:go)", "--",
                                  Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const std::string id = sandbox.only_live_id();
    client.signal(SIGKILL);
    client.wait();
    SUBCASE("with the same supervisor") {}
    SUBCASE("with the next one") {
        sandbox.kill_supervisor();
    }
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(runs(sandbox, id));
    sandbox.write_file("go", "");
    const Json cancel = cancelation(sandbox, id);
    CHECK(cancel.at("reason") == "condition");
    CHECK_MESSAGE(has(cancel.at("message"), "client"), cancel.dump());
}

TEST_CASE("sources are taken over by the next supervisor") {
    Sandbox sandbox;
    const std::string file = start(sandbox, "file:stop");
    const std::string idle = start(sandbox, "idle:500ms");
    const std::string processes =
        start(sandbox, "processes:2",
              {"sh", "-c", "while [ ! -e stop ]; do sleep 0.1; done; sleep 1000 & sleep 1000 & wait"});
    sandbox.kill_supervisor();
    sandbox.write_file("stop", "");
    CHECK(cancelation(sandbox, file).at("reason") == "condition");
    CHECK(cancelation(sandbox, idle).at("reason") == "idle");
    CHECK(cancelation(sandbox, processes).at("message") == "processes 3 over 2");
}

TEST_CASE("the configuration names sources, flags add to them and none forgets them") {
    Sandbox sandbox;
    sandbox.write_file(
        "config/cancelable/config.toml",
        "[run]\ncancel_on = [\"file:never\"]\n"
        "[[run.match]]\nname = \"job_*\"\ncancel_on = [\"any(file:no, file:nay)\", \"timeout:1h\"]\n");
    const auto sources = [&](const Words& options) {
        const Json record = sandbox.show(sandbox.detach(options, {"true"}));
        return record.at("cancel_on");
    };
    CHECK(sources({}) == Json::array({"file:never"}));
    CHECK(sources({"-n", "job_1"}) == Json::array({"file:never", "any(file:no, file:nay)", "timeout:1h"}));
    CHECK(sources({"--cancel-on", "file:x"}) == Json::array({"file:never", "file:x"}));
    CHECK(sources({"--cancel-on", "none", "--cancel-on", "file:x"}) == Json::array({"file:x"}));
    CHECK(sources({"--cancel-on", "none"}) == Json::array());
    sandbox.set_environment("CANCELABLE_RUN_CANCEL_ON", "file:y");
    CHECK(sources({}) == Json::array({"file:never", "file:y"}));
}

TEST_CASE("a source that makes no sense is a usage error in one line") {
    Sandbox sandbox;
    for (const std::string& bad : Words{"",
                                        "tea",
                                        "idle:",
                                        "idle:-1s",
                                        "rss:99999999999T",
                                        "cpu:nan,for=1s",
                                        "all(idle:1s",
                                        "all(file:a, tea)",
                                        "cmd:'x",
                                        "at:yesterday",
                                        "signal:X",
                                        "host-memory:101",
                                        "processes:-3",
                                        "timeout:",
                                        "timeout:-1s",
                                        "timeout:99999999999999999999d",
                                        "rss:-1M",
                                        "rss:1M,for=-1s",
                                        "cpu:50",
                                        "cpu:-5,for=1s",
                                        "cpu:1e999,for=1s",
                                        "processes:99999999999999999999",
                                        "processes:1.5",
                                        "host-memory:-1",
                                        "host-load:",
                                        "host-load:-1",
                                        "host-load:inf",
                                        "disk:/",
                                        "disk:/,101",
                                        "disk:/,-1",
                                        "file:",
                                        "cmd:",
                                        "cmd:x,every=-1s",
                                        "parent:3",
                                        "disconnect:now",
                                        "manual:1",
                                        "any()",
                                        "all(file:a,)",
                                        "any(file:a",
                                        "file:a)"}) {
        CAPTURE(bad);
        const Finished finished = sandbox.run({"run", "--log", "--cancel-on", bad, "true"});
        CHECK(finished.status == 2);
        CHECK(finished.err.find("column ") != std::string::npos);
        CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    }
    const Finished unlogged = sandbox.run({"run", "--cancel-on", "idle:1s", "true"});
    CHECK(unlogged.status == 2);
    CHECK(unlogged.err.find("--log") != std::string::npos);
    CHECK(std::count(unlogged.err.begin(), unlogged.err.end(), '\n') == 1);
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
