// What the command inherits: from its caller, as if the caller's shell had started it, and nothing from
// elsewhere.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

Json report(Sandbox& sandbox, const SpawnOptions& how, const Words& options = {}) {
    Words arguments{"run"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", Sandbox::fixture("reports"), "-"});
    const Finished finished = sandbox.run(arguments, how);
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    return Json::parse(finished.out);
}

// The same program, started directly from the very same circumstances.
Json direct_report(const SpawnOptions& how) {
    const Finished finished = Child::spawn({Sandbox::fixture("reports"), "-"}, how).wait();
    REQUIRE(finished.status == 0);
    return Json::parse(finished.out);
}

Words sorted_environment(const Json& report) {
    Words words = report.at("environment").get<Words>();
    std::sort(words.begin(), words.end());
    return words;
}

}  // namespace

TEST_SUITE_BEGIN("inheritance");

TEST_CASE("the environment is the caller's and two variables more") {
    Sandbox sandbox;
    REQUIRE(sandbox.run({"list"}).status == 0);  // The supervisor was started with another environment.
    sandbox.set_environment("CALLERS_OWN", "value with = and spaces");
    sandbox.set_environment("EMPTY", "");
    const Json seen = report(sandbox, sandbox.options());
    Words expected = sandbox.options().environment;
    expected.push_back("CANCELABLE_SOCKET=" + sandbox.socket());
    const Json last = sandbox.json({"list", "--all", "-n", "1", "--json"}).at(0);
    expected.push_back("CANCELABLE_OPERATION_ID=" + last.at("id").dump());
    std::sort(expected.begin(), expected.end());
    CHECK(sorted_environment(seen) == expected);
}

TEST_CASE("-e adds to the environment and replaces in it") {
    Sandbox sandbox;
    sandbox.set_environment("KEPT", "1");
    sandbox.set_environment("REPLACED", "old");
    const Json seen = report(sandbox, sandbox.options(), {"-e", "REPLACED=new", "-e", "ADDED=a=b"});
    const Words words = sorted_environment(seen);
    const auto has = [&](const std::string& entry) {
        return std::count(words.begin(), words.end(), entry) == 1;
    };
    CHECK(has("KEPT=1"));
    CHECK(has("REPLACED=new"));
    CHECK(has("ADDED=a=b"));
    CHECK_FALSE(has("REPLACED=old"));
}

TEST_CASE("the command is found in the caller's PATH and not the supervisor's") {
    Sandbox sandbox;
    REQUIRE(sandbox.run({"list"}).status == 0);
    sandbox.make_directory("tools");
    sandbox.write_file("tools/only-here", "#!/bin/sh\necho found\n", 0755);
    CHECK(sandbox.run({"run", "only-here"}).status == 127);
    sandbox.set_environment("PATH", sandbox.path("tools") + ":/usr/bin:/bin");
    const Finished finished = sandbox.run({"run", "only-here"});
    CHECK(finished.status == 0);
    CHECK(finished.out == "found\n");
}

TEST_CASE("the working directory is the caller's or the one that was asked for") {
    Sandbox sandbox;
    REQUIRE(sandbox.run({"list"}).status == 0);
    SpawnOptions how = sandbox.options();
    how.cwd = sandbox.make_directory("here");
    sandbox.make_directory("here/below");
    CHECK(report(sandbox, how).at("cwd") == sandbox.path("here"));
    CHECK(report(sandbox, how, {"-C", sandbox.path("home")}).at("cwd") == sandbox.path("home"));
    CHECK(report(sandbox, how, {"-C", "below"}).at("cwd") == sandbox.path("here/below"));
}

TEST_CASE("umask and niceness and resource limits are the caller's") {
    Sandbox sandbox;
    SpawnOptions plain = sandbox.options();
    const Json before = report(sandbox, plain);  // Starts the supervisor with the circumstances of the test.
    CHECK(before.at("limits") == direct_report(plain).at("limits"));

    SpawnOptions changed = sandbox.options();
    changed.in_child = [] {
        ::umask(0137);
        ::setpriority(PRIO_PROCESS, 0, 7);
        for (const auto& [resource, limit] :
             {std::pair{RLIMIT_NOFILE, rlimit{77, 99}}, std::pair{RLIMIT_CORE, rlimit{0, 0}},
              std::pair{RLIMIT_FSIZE, rlimit{1 << 20, 1 << 21}},
              std::pair{RLIMIT_STACK, rlimit{1 << 22, RLIM_INFINITY}}})
            ::setrlimit(resource, &limit);
    };
    const Json expected = direct_report(changed);
    REQUIRE(expected.at("umask") == 0137);
    REQUIRE(expected.at("nice") == 7);
    const Json seen = report(sandbox, changed);
    CHECK(seen.at("umask") == 0137);
    CHECK(seen.at("nice") == 7);
    CHECK(seen.at("limits") == expected.at("limits"));

    // And nothing of one run stays for the next.
    const Json after = report(sandbox, plain);
    CHECK(after.at("umask") == before.at("umask"));
    CHECK(after.at("nice") == before.at("nice"));
    CHECK(after.at("limits") == before.at("limits"));
}

TEST_CASE("signals have their default dispositions and an empty mask") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    how.in_child = [] {
        for (const int number : {SIGPIPE, SIGINT, SIGCHLD, SIGUSR1, SIGTSTP})
            std::signal(number, SIG_IGN);
        sigset_t blocked;
        sigemptyset(&blocked);
        for (const int number : {SIGUSR2, SIGALRM, SIGRTMIN + 3})
            sigaddset(&blocked, number);
        ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    };
    const std::string none = "0000000000000000";
    const Json seen = report(sandbox, how);
    CHECK(seen.at("ignored") == none);
    CHECK(seen.at("blocked") == none);
    CHECK(seen.at("pending") == none);
}

TEST_CASE("no descriptor but stdio reaches the command") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    // A caller with open descriptors that it forgot to close on exec, on the first run and with a warm
    // supervisor.
    how.in_child = [] {
        for (const int fd : {3, 4, 9, 50, 200})
            ::dup2(2, fd);
    };
    for (int round = 0; round < 2; ++round)
        CHECK(report(sandbox, how).at("descriptors") == Json::array({0, 1, 2}));
    // Not while other operations run either.
    for (int i = 0; i < 5; ++i)
        sandbox.detach({}, {"sleep", "1000"});
    CHECK(report(sandbox, how).at("descriptors") == Json::array({0, 1, 2}));
}

TEST_CASE("the supervisor itself keeps none of the caller's descriptors") {
    Sandbox sandbox;
    auto pipe = make_pipe();
    REQUIRE(pipe.has_value());
    SpawnOptions how = sandbox.options();
    how.in_child = [fd = pipe->write_end.get()] { ::dup2(fd, 37); };
    Fifo up = sandbox.fifo();
    REQUIRE(sandbox.run({"run", "--detach", "--", Sandbox::fixture("announce_and_stay"), up.path()}, how)
                .status == 0);
    up.wait_for_line();
    pipe->write_end.reset();
    char byte;
    CHECK(wait_readable(pipe->read_end.get(), Deadline()));
    CHECK(::read(pipe->read_end.get(), &byte, 1) == 0);
}

TEST_CASE("the command leads a session of its own and may gain privileges as from a shell") {
    Sandbox sandbox;
    const Json seen = report(sandbox, sandbox.options());
    CHECK(seen.at("session") == seen.at("pid"));
    CHECK(seen.at("group") == seen.at("pid"));
    CHECK(seen.at("no_new_privileges") == direct_report(sandbox.options()).at("no_new_privileges"));
}

TEST_CASE("a run inside an operation is its child and current tells which") {
    Sandbox sandbox;
    const Finished finished =
        sandbox.run({"run", "-n", "outer", "sh", "-c",
                     Sandbox::program() + " current; " + Sandbox::program() + " run -n inner true"});
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    Json outer;
    Json inner;
    for (const Json& operation : sandbox.json({"list", "--all", "--json"}))
        (operation.at("name") == "outer" ? outer : inner) = operation;
    CHECK(inner.at("parent") == outer.at("id"));
    CHECK(outer.at("parent") == nullptr);
    CHECK(finished.out.find(outer.at("id").dump()) != std::string::npos);
}

TEST_CASE("cancelling an operation cancels the runs inside it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "outer"}, {"sh", "-c",
                          Sandbox::program() + " run -d -n inner -- " +
                              Sandbox::fixture("announce_and_stay") + " " + up.path() + "; sleep 1000"});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    const Json inner = sandbox.json({"list", "inner", "--json"}).at(0);
    CHECK(inner.at("parent").dump() == id);
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.run({"wait", inner.at("id").dump()}).status == 143);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(inner.at("id").dump()).at("cancel").at("reason") == "parent");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
