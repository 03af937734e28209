// What is on disk: operations that an earlier supervisor knew, and what becomes of them where the disk fails.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

std::string ended(Sandbox& sandbox, const Words& options, const Words& command) {
    std::string id = sandbox.detach(options, command);
    static_cast<void>(sandbox.run({"wait", id}));
    return id;
}

void restart(Sandbox& sandbox) {
    REQUIRE(sandbox.run({"supervisor", "restart"}).status == 0);
}

Words ids_of(const Json& operations) {
    Words ids;
    for (const Json& operation : operations)
        ids.push_back(std::to_string(operation.at("id").get<int>()));
    return ids;
}

std::string database(const Sandbox& sandbox) {
    return sandbox.path("state/cancelable/history.db");
}

Words set_aside(const Sandbox& sandbox) {
    Words names;
    for (const auto& entry : std::filesystem::directory_iterator(sandbox.path("state/cancelable")))
        if (const std::string name = entry.path().filename();
            name.starts_with("history.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
            names.push_back(name);
    return names;
}

// Before it is gone, the last ends may still be on their way to the disk.
void stop(Sandbox& sandbox, const Words& how = {}) {
    Words words{"supervisor", "stop"};
    words.insert(words.end(), how.begin(), how.end());
    REQUIRE(sandbox.run(words).status == 0);
    wait_until("the supervisor to have closed its files", [&] { return sandbox.supervisor_count() == 0; });
}

}  // namespace

TEST_SUITE_BEGIN("history");

TEST_CASE("a later supervisor knows every field of what ended before it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string good = ended(sandbox, {"-n", "good", "--tag", "k=v", "--timeout", "1h"}, {"true"});
    const std::string bad = ended(sandbox, {}, {"sh", "-c", "echo out; exit 3"});
    CHECK(sandbox.run({"run", "--detach", "/no/such/program"}).status != 0);
    const std::string missing = ids_of(sandbox.list({"--status", "failed"})).back();
    const std::string cancelled = sandbox.detach({"--grace", "100ms"}, {Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(sandbox.run({"cancel", cancelled, "-m", "enough"}).status == 0);
    const Json before = sandbox.json({"list", "--all", "--json"});
    REQUIRE(before.size() == 4);
    restart(sandbox);
    CHECK(sandbox.json({"list", "--all", "--json"}) == before);
    Json shown = sandbox.show(cancelled);
    for (const char* only_shown : {"result", "hook_failures"})
        shown.erase(only_shown);
    CHECK(shown == before.at(3));
    CHECK(sandbox.run({"wait", good}).status == 0);
    CHECK(sandbox.run({"wait", bad}).status == 3);
    CHECK(sandbox.run({"wait", missing}).status == 127);
    CHECK(sandbox.run({"wait", cancelled}).status == 137);
    CHECK(sandbox.run({"wait", good, bad}).status == 1);
    CHECK(sandbox.run({"logs", bad}).out == "out\n");
    const Finished orphan = sandbox.run({"run", "--parent", bad, "true"});
    CHECK(orphan.status == 1);
    CHECK(orphan.err.find("has ended") != std::string::npos);
    const Finished late = sandbox.run({"cancel", good});
    CHECK(late.status == 1);
    CHECK(late.err.find("has ended already") != std::string::npos);
    CHECK(sandbox.run({"run", "--parent", "4711", "true"}).status == 1);
}

TEST_CASE("list selects from memory and history as one") {
    Sandbox sandbox;
    const std::string first = ended(sandbox, {"-n", "first"}, {"true"});
    const std::string second = ended(sandbox, {"-n", "second"}, {"false"});
    restart(sandbox);
    const std::string third = ended(sandbox, {"-n", "third"}, {"true"});
    const std::string live = sandbox.detach({"-n", "live"}, {"sleep", "1000"});
    CHECK(ids_of(sandbox.list({"--all"})) == Words{first, second, third, live});
    CHECK(ids_of(sandbox.list({"--all", "-n", "3"})) == Words{second, third, live});
    CHECK(ids_of(sandbox.list({"--status", "completed"})) == Words{first, third});
    CHECK(ids_of(sandbox.list({"--all", "*r*"})) == Words{first, third});
    CHECK(ids_of(sandbox.list({"--all", "--since", "1h"})) == Words{first, second, third, live});
    CHECK(sandbox.list({"--all", "--until", "2026-03-01"}).empty() ==
          (sandbox.show(first).at("created_at") > "2026-03-02"));
    CHECK(sandbox.list({"--all", "--since", "2999-01-01T00:00Z"}).empty());
    CHECK(sandbox.run({"list", "--since", "yesterday-ish"}).status == 2);
    CHECK(ids_of(sandbox.list()) == Words{live});
    const Json stats = sandbox.json({"stats", "--json"});
    CHECK(stats.at("total_operations") == 4);
    CHECK(stats.at("history_size") == 3);
    CHECK(stats.at("history_by_status").at("failed") == 1);
    CHECK(stats.at("active_operations") == 1);
    CHECK(sandbox.run({"cancel", live}).status == 0);
}

TEST_CASE("stats takes selectors and counts from memory and history as one") {
    Sandbox sandbox;
    const std::string first = ended(sandbox, {"-n", "first", "--tag", "user=42"}, {"true"});
    const std::string second = ended(sandbox, {"-n", "second"}, {"false"});
    restart(sandbox);
    const std::string third = ended(sandbox, {"-n", "third", "--tag", "user=42"}, {"true"});
    const std::string live = sandbox.detach({"-n", "live", "--tag", "user=42"}, {"sleep", "1000"});
    // In all, live and completed.
    const auto counts = [&](Words selectors) {
        selectors.insert(selectors.begin(), {"stats", "--json"});
        const Json stats = sandbox.json(selectors);
        return Json{stats.at("total_operations"), stats.at("active_operations"), stats.at("total_completed")};
    };
    using Counts = Json;
    CHECK(counts({}) == Counts{4, 1, 2});
    CHECK(counts({"--all"}) == Counts{4, 1, 2});
    CHECK(counts({"*r*"}) == Counts{2, 0, 2});
    CHECK(counts({second, live}) == Counts{2, 1, 0});
    CHECK(counts({"--name", "first"}) == Counts{1, 0, 1});
    CHECK(counts({"--tag", "user=42"}) == Counts{3, 1, 2});
    CHECK(counts({"--tag", "user=42", "--status", "completed"}) == Counts{2, 0, 2});
    CHECK(counts({"--status", "running"}) == Counts{1, 1, 0});
    CHECK(counts({"--newer-than", "1h"}) == Counts{4, 1, 2});
    CHECK(counts({"--since", "1h", "--until", "2999-01-01"}) == Counts{4, 1, 2});
    CHECK(sandbox.json({"stats", "--json", second}).at("history_by_status") == Json{{"failed", 1}});
    for (const Words& nothing : {Words{"--older-than", "1h"}, Words{"--parent", first}, Words{"4711"}}) {
        Words words{"stats"};
        words.insert(words.end(), nothing.begin(), nothing.end());
        const Finished finished = sandbox.run(words);
        CHECK(finished.status == 1);
        CHECK(finished.out.empty());
        CHECK(finished.err == "cancelable: no operation matches\n");
    }
    CHECK(sandbox.run({"stats", "--status", "tea"}).status == 2);
    CHECK(sandbox.run({"cancel", live}).status == 0);
}

TEST_CASE("prune forgets operations with their logs, and no live one") {
    Sandbox sandbox;
    const std::string old = ended(sandbox, {}, {"echo", "old"});
    restart(sandbox);
    const std::string recent = ended(sandbox, {}, {"echo", "recent"});
    const std::string live = sandbox.detach({}, {"sleep", "1000"});
    const std::string log = sandbox.show(old).at("log");
    CHECK(sandbox.run({"prune"}).status == 2);
    CHECK(sandbox.run({"prune", "--status", "running"}).status == 2);
    const Json would = sandbox.json({"prune", "--keep", "1", "--dry-run", "--json"});
    CHECK(would.at("operations") == 1);
    CHECK(sandbox.list({"--all"}).size() == 3);
    CHECK(sandbox.run({"clean", "--keep", "1"}).out == "1 operation and 1 log forgotten\n");
    CHECK(ids_of(sandbox.list({"--all"})) == Words{recent, live});
    CHECK(sandbox.run({"show", old}).status == 1);
    CHECK(!std::filesystem::exists(log));
    CHECK(sandbox.json({"prune", "--keep", "0", "--json"}).at("operations") == 1);
    CHECK(ids_of(sandbox.list({"--all"})) == Words{live});
    CHECK(sandbox.run({"cancel", live}).status == 0);
}

TEST_CASE("the supervisor keeps as much history as its configuration says") {
    Sandbox sandbox;
    Words ids;
    for (int i = 0; i < 4; ++i)
        ids.push_back(ended(sandbox, {}, {"true"}));
    sandbox.make_directory("config/cancelable");
    sandbox.write_file("config/cancelable/config.toml", "[history]\nkeep = 2\n");
    restart(sandbox);
    wait_until("the oldest to be forgotten",
               [&] { return ids_of(sandbox.list({"--all"})) == Words{ids[2], ids[3]}; });
}

TEST_CASE("what dies together with its supervisor is lost, once") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({"-n", "doomed", "--tag", "k=v"}, {"sleep", "1000"});
    const Json before = sandbox.show(id);
    const Witness everything = sandbox.tree();
    const Witness shims(sandbox.shims());
    sandbox.kill_supervisor();
    // As when the machine goes down: nothing is left in the runtime directory either.
    shims.signal(SIGKILL);
    everything.signal(SIGKILL);
    everything.wait_until_gone();
    std::filesystem::remove_all(sandbox.path("run/cancelable/ops"));
    const Json lost = sandbox.show(id);
    CHECK(lost.at("status") == "lost");
    CHECK(lost.at("name") == "doomed");
    CHECK(lost.at("tags") == before.at("tags"));
    CHECK(lost.at("created_at") == before.at("created_at"));
    CHECK(lost.at("started_at") == before.at("started_at"));
    CHECK(lost.at("error").is_string());
    CHECK(sandbox.run({"wait", id}).status == 125);
    restart(sandbox);
    CHECK(sandbox.show(id) == lost);
    CHECK(sandbox.json({"stats", "--json"}).at("history_by_status") == Json{{"lost", 1}});
}

TEST_CASE("a damaged database is set aside while operations go on") {
    Sandbox sandbox;
    ended(sandbox, {}, {"true"});
    const std::string live = sandbox.detach({}, {"sleep", "1000"});
    stop(sandbox, {"--keep"});
    std::filesystem::resize_file(database(sandbox), 5000);
    CHECK(ids_of(sandbox.list({"--all"})) == Words{live});
    const std::string next = ended(sandbox, {}, {"true"});
    CHECK(std::stoi(next) > std::stoi(live));
    CHECK(sandbox.run({"cancel", live}).status == 0);
    const Json history = sandbox.json({"supervisor", "status", "--json"}).at("history");
    CHECK(history.at("state") == "working");
    const Words names = set_aside(sandbox);
    REQUIRE(names.size() == 1);
    CHECK(history.at("set_aside") == sandbox.path("state/cancelable/" + names[0]));
    CHECK(sandbox.run({"supervisor", "status"}).out.find(names[0]) != std::string::npos);
    restart(sandbox);
    CHECK(ids_of(sandbox.list({"--all"})) == Words{live, next});
}

TEST_CASE("a state directory that cannot be written stops nothing and loses nothing") {
    Sandbox sandbox;
    const std::string first = ended(sandbox, {}, {"true"});
    stop(sandbox);
    const std::string state = sandbox.path("state/cancelable");
    const std::string hidden = sandbox.path("hidden");
    // A file in its place: no directory can be made there, for nobody.
    std::filesystem::rename(state, hidden);
    std::ofstream(state).flush();
    const std::string second = ended(sandbox, {"--no-log"}, {"sh", "-c", "exit 5"});
    Fifo up = sandbox.fifo();
    const std::string third =
        sandbox.detach({"--no-log", "--grace", "100ms"}, {Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", third}).status == 0);
    const Json history = sandbox.json({"supervisor", "status", "--json"}).at("history");
    CHECK(history.at("state") == "failing");
    CHECK(history.at("trouble").is_string());
    const Finished list = sandbox.run({"list", "--all", "--ids"});
    CHECK(list.out == second + "\n" + third + "\n");
    CHECK(list.err != "");
    SUBCASE("the supervisor is killed meanwhile") {
        sandbox.kill_supervisor();
        CHECK(sandbox.run({"wait", second}).status == 5);
        CHECK(sandbox.run({"wait", third}).status == 137);
    }
    std::filesystem::remove(state);
    std::filesystem::rename(hidden, state);
    sandbox.wait_until_recorded();
    restart(sandbox);
    CHECK(ids_of(sandbox.list({"--all"})) == Words{first, second, third});
    CHECK(sandbox.run({"wait", second}).status == 5);
    CHECK(std::filesystem::is_empty(sandbox.path("run/cancelable/ops")));
}

TEST_CASE("a full file system stops nothing and loses nothing") {
    if (::geteuid() != 0) return skip("only root can mount a small file system");
    Sandbox sandbox;
    const std::string state = sandbox.make_directory("state/cancelable");
    struct stat owner{};
    REQUIRE(::stat(state.c_str(), &owner) == 0);
    const std::string options =
        "size=1m,mode=0700,uid=" + std::to_string(owner.st_uid) + ",gid=" + std::to_string(owner.st_gid);
    if (::mount("tmpfs", state.c_str(), "tmpfs", 0, options.c_str()) != 0)
        return skip("a small file system cannot be mounted here");
    struct Unmount {
        ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
        std::string path;
    } unmount{state};
    const std::string first = ended(sandbox, {"--no-log"}, {"true"});
    {
        std::ofstream filler(state + "/filler");
        const std::string block(1024, 'x');
        while (filler << block << std::flush) {
        }
    }
    Words ids{first};
    for (int i = 0; i < 40; ++i)
        ids.push_back(
            ended(sandbox, {"--no-log"}, {"sh", "-c", "exit " + std::to_string(i), std::string(5000, 'x')}));
    CHECK(sandbox.json({"supervisor", "status", "--json"}).at("history").at("state") == "failing");
    CHECK(ids_of(sandbox.list({"--all"})) == ids);
    sandbox.kill_supervisor();
    CHECK(sandbox.run({"wait", ids.back()}).status == 39);
    std::filesystem::remove(state + "/filler");
    sandbox.wait_until_recorded();
    stop(sandbox);
    CHECK(std::filesystem::is_empty(sandbox.path("run/cancelable/ops")));
    CHECK(ids_of(sandbox.list({"--all"})) == ids);
    stop(sandbox);
}

TEST_CASE("supervisors of two runtime directories share one history") {
    Sandbox sandbox;
    const std::string live = sandbox.detach({}, {"sleep", "1000"});
    const std::string mine = ended(sandbox, {}, {"true"});
    const Words socket{"--socket", sandbox.make_directory("other") + "/socket"};
    const auto there = [&](Words words) {
        words.insert(words.begin(), socket.begin(), socket.end());
        return sandbox.run(words);
    };
    const Finished other = there({"run", "--", "false"});
    CHECK(other.status == 1);
    // What has just ended is seen by others once it is committed. The live one is another's: neither listed
    // nor lost.
    wait_until("both to know what has ended", [&] {
        const std::string theirs = there({"list", "--all", "--ids"}).out;
        return theirs.starts_with(mine + "\n") && std::ranges::count(theirs, '\n') == 2 &&
               sandbox.list({"--all"}).size() == 3;
    });
    CHECK(there({"supervisor", "stop"}).status == 0);
    CHECK(sandbox.show(live).at("status") == "running");
    CHECK(sandbox.run({"cancel", live}).status == 0);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
