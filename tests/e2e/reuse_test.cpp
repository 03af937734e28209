// A shim guards one operation after another, and nothing of one is seen in the next.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

// The shim that has guarded this command.
pid_t run_and_tell_shim(Sandbox& sandbox, const std::string& script = "") {
    const Finished finished = sandbox.run({"run", "--", "sh", "-c", script + "echo $PPID"});
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    return std::stoi(finished.out);
}

bool contains(const std::vector<pid_t>& processes, pid_t pid) {
    return std::ranges::find(processes, pid) != processes.end();
}

pid_t idle_shim(Sandbox& sandbox, const std::string& script = "") {
    const pid_t shim = run_and_tell_shim(sandbox, script);
    wait_until("the shim is idle", [&] { return contains(sandbox.idle_shims(), shim); });
    return shim;
}

// What is in the directory of operations, by the ends of the names.
Words left_names(const Sandbox& sandbox) {
    Words names;
    for (const auto& entry : std::filesystem::directory_iterator(sandbox.runtime_directory() + "/ops"))
        names.push_back(entry.path().extension());
    return names;
}

Json last_operation(Sandbox& sandbox) {
    return sandbox.json({"list", "--all", "-n", "1", "--json"}).at(0);
}

}  // namespace

TEST_SUITE_BEGIN("reuse");

TEST_CASE("a shim that is idle guards the next operation, under its name") {
    Sandbox sandbox;
    const pid_t shim = idle_shim(sandbox);
    const Finished next =
        sandbox.run({"run", "-n", "second", "--", "sh", "-c", "tr '\\0' ' ' </proc/$PPID/cmdline"});
    CHECK(next.out.starts_with("cancelable-shim " + last_operation(sandbox).at("id").dump() + " second "));
    wait_until("the shim is idle", [&] { return contains(sandbox.idle_shims(), shim); });
    CHECK(run_and_tell_shim(sandbox) == shim);
}

TEST_CASE("an idle shim has nothing of the operation before it") {
    Sandbox sandbox;
    const pid_t shim = idle_shim(sandbox);
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(shim) + "/fd")) {
        const std::string what = std::filesystem::read_symlink(entry.path());
        const bool is_own = what == "/dev/null" || what.starts_with("socket:") || what.contains("signalfd");
        CHECK_MESSAGE(is_own, what);
        ++count;
    }
    CHECK(count == 6);  // stdio, channel, signals, the socket that it listens at
    CHECK(descendants(shim).empty());
}

TEST_CASE("each operation is told its own usage, whoever used the shim before") {
    Sandbox sandbox;
    const pid_t shim = idle_shim(sandbox, "head -c 64M /dev/zero | tail -c 64M >/dev/null; ");
    const Json first = last_operation(sandbox);
    CHECK(run_and_tell_shim(sandbox) == shim);
    const Json second = last_operation(sandbox);
    const std::uint64_t much = first.at("usage").at("max_rss");
    const std::uint64_t little = second.at("usage").at("max_rss");
    CHECK(much > 64U << 20);
    CHECK(little < 32U << 20);
}

TEST_CASE("a shim that an operation has made nicer guards no other") {
    Sandbox sandbox;
    REQUIRE(sandbox.run({"list"}).status == 0);
    const pid_t shim = run_and_tell_shim(sandbox, "renice 7 -p $PPID >/dev/null; ");
    wait_until("the shim is gone", [&] { return program_of(shim).empty(); });
    const int ours = ::getpriority(PRIO_PROCESS, 0);
    CHECK(sandbox.run({"run", "--", "nice"}).out == std::to_string(ours) + "\n");
}

TEST_CASE("an idle shim that is killed is missed by nobody") {
    Sandbox sandbox;
    const Witness witness({idle_shim(sandbox)});
    witness.signal(SIGKILL);
    CHECK(run_and_tell_shim(sandbox) > 0);
    witness.wait_until_gone();
    CHECK(last_operation(sandbox).at("status") == "completed");
}

TEST_CASE("what is sent to an idle shim does nothing to the next operation") {
    Sandbox sandbox;
    for (const int number : {SIGTERM, SIGSTOP}) {
        const pid_t shim = idle_shim(sandbox);
        Witness({shim}).signal(number);
        CHECK(run_and_tell_shim(sandbox) == shim);
        CHECK(last_operation(sandbox).at("status") == "completed");
    }
}

TEST_CASE("idle shims end with their supervisor") {
    Sandbox sandbox;
    const Witness witness({idle_shim(sandbox)});
    sandbox.kill_supervisor();
    witness.wait_until_gone();
}

TEST_CASE("after many at once only a few shims stay") {
    Sandbox sandbox;
    for (int i = 0; i < 8; ++i)
        sandbox.detach({}, {"sleep", "1000"});
    REQUIRE(sandbox.shims().size() == 8);
    REQUIRE(sandbox.run({"cancel", "--all"}).status == 0);
    wait_until("two shims are left",
               [&] { return sandbox.shims().empty() && sandbox.idle_shims().size() == 2; });
}

TEST_CASE("the next supervisor finds a shim by the name of its latest operation") {
    Sandbox sandbox;
    const pid_t shim = idle_shim(sandbox);
    SUBCASE("which its listening socket was given") {}
    SUBCASE("also where somebody has removed the one that it had while idle") {
        REQUIRE(
            std::filesystem::remove(sandbox.runtime_directory() + "/ops/" + std::to_string(shim) + ".idle"));
    }
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    REQUIRE(sandbox.shims() == std::vector{shim});
    for (int i = 0; i < 2; ++i) {
        sandbox.kill_supervisor();
        CHECK(sandbox.only_live_id() == id);
        CHECK(sandbox.shims() == std::vector{shim});
    }
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.show(id).at("status") == "cancelled");
}

TEST_CASE("no name is left of an idle shim that is gone") {
    Sandbox sandbox;
    idle_shim(sandbox);
    wait_until("only its name is there", [&] { return left_names(sandbox) == Words{".idle"}; });
    SUBCASE("with its supervisor") {
        REQUIRE(sandbox.run({"supervisor", "stop"}).status == 0);
        CHECK(left_names(sandbox).empty());
    }
    SUBCASE("with its supervisor, which was killed") {
        const Witness idle(sandbox.idle_shims());
        sandbox.kill_supervisor();
        idle.wait_until_gone();
        REQUIRE(sandbox.run({"list"}).status == 0);
        CHECK(left_names(sandbox).empty());
    }
    SUBCASE("by itself") {
        Witness(sandbox.idle_shims()).signal(SIGKILL);
        wait_until("the supervisor to see it", [&] { return left_names(sandbox).empty(); });
    }
    SUBCASE("since it has guarded a hook after that") {
        for (int i = 0; i < 2; ++i)
            sandbox.detach({}, {"sleep", "1000"});
        REQUIRE(sandbox.run({"cancel", "--all"}).status == 0);
        wait_until("two shims are idle", [&] { return sandbox.idle_shims().size() == 2; });
        REQUIRE(sandbox.run({"run", "--on-start", "true", "--", "true"}).status == 0);
        wait_until("the shims to be idle or gone",
                   [&] { return left_names(sandbox).size() == sandbox.idle_shims().size(); });
    }
}

TEST_CASE("a command with long arguments follows one with short ones, and is followed by one") {
    Sandbox sandbox;
    idle_shim(sandbox);
    const std::string much(100'000, 'x');
    CHECK(sandbox.run({"run", "--", "sh", "-c", "echo ${#1}", "sh", much}).out == "100000\n");
    sandbox.set_environment("MUCH", much);
    CHECK(sandbox.run({"run", "--", "sh", "-c", "echo ${#MUCH}"}).out == "100000\n");
    sandbox.set_environment("MUCH", "\xff\n\"");
    CHECK(sandbox.run({"run", "--", "sh", "-c", "echo \"$MUCH\""}).out == "\xff\n\"\n");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
