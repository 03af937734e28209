// Hooks: commands that are told of the start, the cancelation and the end of an operation.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

// Says its facts in one line; `more` is more words of the shell.
std::string tell(const Fifo& fifo, const std::string& more = "") {
    return "echo \"$CANCELABLE_HOOK_EVENT $CANCELABLE_HOOK_ID $CANCELABLE_HOOK_STATUS"
           " code=$CANCELABLE_HOOK_EXIT_CODE signal=$CANCELABLE_HOOK_SIGNAL"
           " $CANCELABLE_HOOK_REASON $CANCELABLE_HOOK_MESSAGE" +
           more + "\" >" + fifo.path();
}

void wait_for_failure(Sandbox& sandbox, const std::string& id) {
    wait_until("a hook to have failed", [&] { return !sandbox.show(id).at("hook_failures").empty(); });
}

bool is_owed(const Sandbox& sandbox, const std::string& id) {
    return ::access((sandbox.runtime_directory() + "/ops/" + id + ".end-hook").c_str(), F_OK) == 0;
}

}  // namespace

TEST_SUITE_BEGIN("hooks");

TEST_CASE("hooks are told of a start, a cancelation and an end, each with its facts") {
    Sandbox sandbox;
    Fifo told = sandbox.fifo();
    const std::string directory = sandbox.make_directory("where");
    const std::string id =
        sandbox.detach({"--name", "job", "--tag", "gpu-node=7", "-C", directory, "--on-start",
                        tell(told,
                             " $CANCELABLE_HOOK_NAME $CANCELABLE_HOOK_TAG_GPU_NODE $CANCELABLE_HOOK_CWD $PWD"
                             " ${CANCELABLE_OPERATION_ID-none}"),
                        "--on-cancel", tell(told), "--on-end", tell(told), "--hook-timeout", "1h"},
                       {"sleep", "1000"});
    CHECK(told.wait_for_line() ==
          "start " + id + " running code= signal=   job 7 " + directory + " " + directory + " none");
    CHECK(sandbox.show(id).at("hooks").at("timeout") == 3600.0);
    CHECK(sandbox.run({"cancel", id, "-m", "enough"}).status == 0);
    CHECK(told.wait_for_line() == "cancel " + id + " cancelling code= signal= manual enough");
    CHECK(told.wait_for_line() == "end " + id + " cancelled code= signal=SIGTERM manual enough");
    wait_until("the hook to be done", [&] { return !is_owed(sandbox, id); });
    CHECK(sandbox.show(id).at("hook_failures") == Json::array());
}

TEST_CASE("an operation that ends by itself has an end hook and no cancel hook, also one that cannot start") {
    Sandbox sandbox;
    Fifo told = sandbox.fifo();
    const Words hooks{"run", "--on-start", tell(told), "--on-cancel", tell(told), "--on-end", tell(told)};
    const auto with = [&](Words command) {
        Words words = hooks;
        words.insert(words.end(), command.begin(), command.end());
        return words;
    };
    CHECK(sandbox.run(with({"sh", "-c", "exit 3"})).status == 3);
    CHECK(told.wait_for_line().starts_with("start "));
    CHECK(told.wait_for_line().find("failed code=3 signal=") != std::string::npos);
    CHECK(sandbox.run(with({"/no/such/command"})).status == 127);
    const std::string end = told.wait_for_line();
    CHECK(end.starts_with("end "));
    CHECK(end.find("cannot execute") != std::string::npos);
}

TEST_CASE("a hook that fails is on record and harms nothing") {
    Sandbox sandbox;
    const std::string id = sandbox.detach(
        {"--on-start", "echo no such luck >&2; exit 7", "--on-end", "kill -9 $$"}, {"sleep", "1000"});
    wait_for_failure(sandbox, id);
    const Json failures = sandbox.show(id).at("hook_failures");
    REQUIRE(failures.size() == 1);
    CHECK(failures[0].at("event") == "start");
    CHECK(failures[0].at("exit") == Json{{"code", 7}});
    CHECK(failures[0].at("error").is_null());
    CHECK(sandbox.show(id).at("status") == "running");
    CHECK(sandbox.run({"show", id}).out.find("on start: exit 7") != std::string::npos);

    CHECK(sandbox.run({"cancel", id}).status == 0);
    wait_until("the other to have failed", [&] { return sandbox.show(id).at("hook_failures").size() == 2; });
    CHECK(sandbox.show(id).at("status") == "cancelled");
    CHECK(sandbox.show(id).at("hook_failures")[1].at("exit") == Json{{"signal", "SIGKILL"}});
    const std::string events =
        sandbox.run({"events", "--kind", "hook", "--replay", "100", "--no-follow"}).out;
    CHECK(events.find("on start, exit 7") != std::string::npos);
    CHECK(events.find("on end, SIGKILL") != std::string::npos);
}

TEST_CASE("a hook that takes too long is ended with all that it started, and cancelling does not wait") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"--hook-timeout", "2s", "--on-start",
         "trap '' TERM; setsid sh -c 'echo $$ >\"$1\"; sleep 1000' sh " + up.path() + " & sleep 1000"},
        {"sleep", "1000"});
    const pid_t left = std::stoi(up.wait_for_line());
    CHECK(sandbox.run({"cancel", id}).status == 0);
    wait_for_failure(sandbox, id);
    CHECK(sandbox.show(id).at("hook_failures")[0].at("error") == "took longer than 2.0s");
    CHECK(::access(("/proc/" + std::to_string(left)).c_str(), F_OK) != 0);
    CHECK(sandbox.strangers() == std::vector<pid_t>{});
}

TEST_CASE("the end is told by the next supervisor when one is killed before it, and nothing else again") {
    Sandbox sandbox;
    Fifo told = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach({"--on-start", tell(told), "--on-end", tell(told)},
                                          {"sh", "-c", "read line <" + go.path()});
    CHECK(told.wait_for_line().starts_with("start "));
    sandbox.kill_supervisor();
    go.go();
    wait_until("the operation to end", [&] { return sandbox.strangers().empty(); });
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    CHECK(told.wait_for_line() == "end " + id + " completed code=0 signal=  ");
    wait_until("the hook to be done", [&] { return !is_owed(sandbox, id); });
}

TEST_CASE("an end hook that its supervisor did not live to finish is run by the next one") {
    Sandbox sandbox;
    Fifo told = sandbox.fifo();
    const std::string once = sandbox.path("once");
    const Finished ended = sandbox.run(
        {"run", "--on-end", "cd ..; " + tell(told) + "; mkdir " + once + " && sleep 1000", "true"});
    CHECK(ended.status == 0);
    CHECK(told.wait_for_line().starts_with("end "));
    wait_until("the hook to hang", [&] { return ::access(once.c_str(), F_OK) == 0; });
    const Witness hook = sandbox.tree();
    sandbox.kill_supervisor();
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    CHECK(told.wait_for_line().starts_with("end "));
    wait_until("nothing to be owed", [&] {
        return std::ranges::none_of(
            std::filesystem::directory_iterator(sandbox.runtime_directory() + "/ops"),
            [](const auto& entry) { return entry.path().extension() == ".end-hook"; });
    });
    hook.wait_until_gone();
}

TEST_CASE("a client in a hook finds its operation, is no part of it and would start no supervisor") {
    Sandbox sandbox;
    Fifo told = sandbox.fifo();
    const std::string program = Sandbox::program();
    const std::string id =
        sandbox.detach({"--on-start",
                        program + " current 2>/dev/null; echo $? $(" + program +
                            " list --ids) $CANCELABLE_SIDE_COMMAND $CANCELABLE_SOCKET >" + told.path(),
                        "--on-cancel", "echo $(" + program + " run -d true) >" + told.path()},
                       {"sleep", "1000"});
    CHECK(told.wait_for_line() == "1 " + id + " 1 " + sandbox.socket());
    CHECK(sandbox.run({"cancel", id}).status == 0);
    CHECK(sandbox.show(told.wait_for_line()).at("parent").is_null());
}

TEST_CASE("hooks can stand in the configuration, by name too, and flags overrule them") {
    Sandbox sandbox;
    sandbox.write_file("config/cancelable/config.toml",
                       "[run]\non_end = \"true\"\nhook_timeout = \"5s\"\n"
                       "[[run.match]]\nname = \"job_*\"\non_start = \"exit 0\"\n");
    const auto hooks = [&](const Words& options) {
        return sandbox.show(sandbox.detach(options, {"true"})).at("hooks");
    };
    const Json plain{{"on_start", nullptr}, {"on_cancel", nullptr}, {"on_end", "true"}, {"timeout", 5.0}};
    CHECK(hooks({}) == plain);
    CHECK(hooks({"-n", "job_1"}).at("on_start") == "exit 0");
    CHECK(hooks({"--on-end", "exit 0", "--hook-timeout", "1s"}).at("on_end") == "exit 0");
    CHECK(hooks({"--on-end", ""}).is_null());
    const Finished bad = sandbox.run({"run", "--hook-timeout", "0", "true"});
    CHECK(bad.status == 2);
    CHECK(bad.err.find("must be more than 0") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
