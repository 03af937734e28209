// run --batch: many operations from one file.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"
#include "tests/e2e/waiting.h"
#include "tests/fixtures/byte_stream.h"

namespace cancelable::e2e {
namespace {

Words batch(const std::string& file, const Words& more = {}) {
    Words words{"run", "--batch", file};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

// By a shell, for inputs and readers that a test does not hold itself.
Finished run_shell(Sandbox& sandbox, const std::string& script) {
    return Child::spawn({"/bin/sh", "-c", script}, sandbox.options()).wait_for_end_of_file();
}

std::size_t count_of(const Json& operations, const std::string& status) {
    return static_cast<std::size_t>(std::ranges::count_if(
        operations, [&](const Json& operation) { return operation.at("status") == status; }));
}

std::size_t ended_count(Sandbox& sandbox) {
    const Json all = sandbox.list({"--all"});
    return count_of(all, "completed") + count_of(all, "failed");
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_SUITE_BEGIN("batch");

TEST_CASE("each line of a batch is an operation of its own") {
    Sandbox sandbox;
    const std::string file =
        sandbox.write_file("lines", "echo one\n# a comment\n\nsh -c 'exit 3'\ncd / && pwd\n");
    const Finished finished = sandbox.run(batch(file, {"-j1", "--tag", "batch=7"}));
    CHECK_MESSAGE(finished.status == 1, finished.err);
    CHECK(finished.out == "one\n/\n");
    CHECK(finished.err.starts_with("cancelable: 3 operations: 2 completed, 1 failed, in "));
    const Json all = sandbox.list({"--all", "--tag", "batch=7"});
    REQUIRE(all.size() == 3);
    CHECK(all[0].at("command") == Json::array({"echo", "one"}));
    CHECK(all[0].at("name") == "echo");
    CHECK(all[1].at("command") == Json::array({"sh", "-c", "exit 3"}));
    CHECK(all[1].at("exit") == Json{{"code", 3}});
    CHECK(all[2].at("command") == Json::array({"/bin/sh", "-c", "cd / && pwd"}));
    CHECK(all[2].at("status") == "completed");
}

TEST_CASE("a batch with a template gives each line to it") {
    Sandbox sandbox;
    const std::string file = sandbox.write_file("lines", "a b.wav\n#2\n");
    const Finished finished = sandbox.run(
        batch(file, {"-q", "-j1", "-n", "job-{#}", "--", "printf", "<%s>", "{}", "{.}.mp3", "{#}", "{%}"}));
    CHECK(finished.status == 0);
    CHECK(finished.err == "");
    CHECK(finished.out == "<a b.wav><a b.mp3><1><1><#2><#2.mp3><2><1>");
    CHECK(sandbox.list({"--all", "job-2"}).size() == 1);
    const Finished appended = sandbox.run(batch(file, {"-q", "-j1", "echo", "-n", "got"}));
    CHECK(appended.out == "got a b.wavgot #2");
}

TEST_CASE("a batch may be parted by zero bytes") {
    Sandbox sandbox;
    const Finished words = run_shell(sandbox, R"(printf 'printf\0<%%s>\0a b\0c\nd\0\0echo\0$HOME\0' | )" +
                                                  Sandbox::program() + " run --batch - -0 -q -j1");
    CHECK_MESSAGE(words.out == "<a b><c\nd>$HOME\n", words.err);
    const Finished items = run_shell(sandbox, R"(printf 'a\nb\0\0' | )" + Sandbox::program() +
                                                  " run --batch - --null -q -j1 -- printf '<%s>'");
    CHECK_MESSAGE(items.out == "<a\nb><>", items.err);
}

TEST_CASE("output comes as operations end, or in the order of the input") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    const std::string file = sandbox.write_file("lines", "read x <" + go.path() + "; echo one\necho two\n");
    SUBCASE("as they end") {
        Child client = sandbox.start(batch(file, {"-j2"}));
        client.wait_for_output("two\n");
        go.go();
        CHECK(client.wait().out == "two\none\n");
    }
    SUBCASE("in order") {
        Child client = sandbox.start(batch(file, {"-j2", "-k"}));
        wait_until("the end of the second",
                   [&] { return sandbox.list({"--all", "--status", "completed"}).size() == 1; });
        go.go();
        CHECK(client.wait().out == "one\ntwo\n");
    }
}

TEST_CASE("what an operation writes is kept together, and its stdout and stderr apart") {
    Sandbox sandbox;
    Fifo there = sandbox.fifo();
    Fifo back = sandbox.fifo();
    // They take turns, so that their lines would alternate.
    const std::string file =
        sandbox.write_file("lines", "echo a1; echo ae >&2; echo >" + there.path() + "; read x <" +
                                        back.path() + "; echo a2\nread x <" + there.path() +
                                        "; echo b1; echo be >&2; echo >" + back.path() + "; echo b2\n");
    const Finished finished = sandbox.run(batch(file, {"-j2", "-q", "-k"}));
    CHECK(finished.out == "a1\na2\nb1\nb2\n");
    CHECK(finished.err == "ae\nbe\n");
}

TEST_CASE("a large output is passed on whole") {
    Sandbox sandbox;
    constexpr std::size_t kSize = std::size_t{4} << 20;
    const std::string size = std::to_string(kSize);
    const std::string file = sandbox.write_file(
        "lines", Sandbox::fixture("streams") + " " + size + "\n" + Sandbox::fixture("streams") + " " + size);
    std::string expected(kSize, '\0');
    fixture::ByteStream().fill(std::as_writable_bytes(std::span(expected)));
    const Finished finished = sandbox.run(batch(file, {"-j2", "-q"}));
    const bool is_whole = finished.out == expected + expected;
    CHECK(is_whole);
    const std::string path = sandbox.write_file("out", "");
    const UniqueFd out(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    SpawnOptions how = sandbox.options();
    how.stdio[1] = out.get();
    CHECK(sandbox.run(batch(file, {"-j2", "-q"}), how).status == 0);
    const bool is_whole_in_file = read_file(path) == expected + expected;
    CHECK(is_whole_in_file);
}

TEST_CASE("a command that is not there has failed, and the others go on") {
    Sandbox sandbox;
    const std::string file = sandbox.write_file("lines", "no-such-command-at-all\necho here\n");
    const Finished finished = sandbox.run(batch(file, {"-j1", "-q"}));
    CHECK(finished.status == 1);
    CHECK(finished.out == "here\n");
    CHECK(finished.err ==
          "cancelable: cannot execute \"no-such-command-at-all\": no such file or directory\n");
    CHECK(sandbox.list({"--all", "no-such*"}).at(0).at("exit") == Json{{"code", 127}});
}

TEST_CASE("an empty batch does nothing, and that well") {
    Sandbox sandbox;
    const Finished finished = sandbox.run(batch("-"));
    CHECK(finished.status == 0);
    CHECK(finished.err.starts_with("cancelable: 0 operations: 0 completed"));
}

TEST_CASE("the exit status of a batch says how many failed, up to a hundred") {
    Sandbox sandbox;
    std::string lines;
    for (int i = 0; i < 150; ++i)
        lines += "true\nfalse\n";
    const Finished finished = sandbox.run(batch(sandbox.write_file("lines", lines), {"-j4"}));
    CHECK(finished.status == 101);
    CHECK(finished.err.starts_with("cancelable: 300 operations: 150 completed, 150 failed, in "));
    CHECK(sandbox.list({"--all", "true"}).size() == 150);
}

TEST_CASE("a batch that halts now cancels what runs and starts nothing more") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string mark = sandbox.path("started");
    const std::string file =
        sandbox.write_file("lines", Sandbox::fixture("announce_and_stay") + " " + up.path() + "\nread x <" +
                                        up.path() + "; exit 9\n" + "touch " + mark + "\n");
    const Finished finished = sandbox.run(batch(file, {"-j2", "--halt", "now,fail=1"}));
    CHECK_MESSAGE(finished.status == 1, finished.err);
    CHECK(finished.err.starts_with("cancelable: 2 operations: 0 completed, 1 failed, 1 cancelled"));
    CHECK(::access(mark.c_str(), F_OK) != 0);
    CHECK(sandbox.strangers().empty());
    CHECK(sandbox.list({"--all", "--status", "cancelled"}).at(0).at("cancel").at("message") ==
          "its batch has come to its --halt");
}

TEST_CASE("a batch that halts soon lets what runs go on and starts nothing more") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    const std::string mark = sandbox.path("started");
    const std::string file =
        sandbox.write_file("lines", "read x <" + go.path() + "; echo one\nfalse\ntouch " + mark + "\n");
    Child client = sandbox.start(batch(file, {"-j2", "--halt", "soon,fail=1"}));
    wait_until("the failure", [&] { return ended_count(sandbox) == 1; });
    CHECK_FALSE(client.has_ended());
    go.go();
    const Finished finished = client.wait();
    CHECK(finished.status == 1);
    CHECK(finished.out == "one\n");
    CHECK(::access(mark.c_str(), F_OK) != 0);
}

TEST_CASE("an endless input is read as it is needed") {
    Sandbox sandbox;
    const Finished finished = run_shell(
        sandbox, "yes false | " + Sandbox::program() + " run --batch - -j1 --halt now,fail=3; echo $?");
    CHECK_MESSAGE(finished.out == "3\n", finished.err);
    CHECK(finished.err.starts_with("cancelable: 3 operations: 0 completed, 3 failed"));
}

TEST_CASE("a line is carried out when it comes") {
    Sandbox sandbox;
    auto pipe = make_pipe();
    REQUIRE(pipe);
    SpawnOptions how = sandbox.options();
    how.stdio[0] = pipe->read_end.get();
    Child client = sandbox.start(batch("-", {"-j2", "-q"}), how);
    pipe->read_end.reset();
    std::string so_far;
    for (const std::string line : {"one", "two"}) {
        const std::string text = "echo " + line + "\n";
        REQUIRE(write_all(pipe->write_end.get(), std::as_bytes(std::span(text))));
        so_far += line + "\n";
        CHECK(client.wait_for_output(so_far) == so_far);
    }
    pipe->write_end.reset();
    CHECK(client.wait().status == 0);
}

TEST_CASE("Ctrl-C typed at a batch ends all of it with 130 and leaves nothing") {
    Sandbox sandbox;
    const std::string mark = sandbox.path("started");
    const std::string file = sandbox.write_file("lines",
                                                "sleep 100 & sleep 100\nsleep 100 & sleep 100\n"
                                                "touch " +
                                                    mark + "\n");
    TerminalSession terminal({Sandbox::program(), "run", "--batch", file, "-j2"}, sandbox.options());
    wait_until("four sleeps", [&] {
        return std::ranges::count_if(sandbox.strangers(),
                                     [](pid_t pid) { return program_of(pid) == "sleep"; }) == 4;
    });
    const Witness tree = sandbox.tree();
    terminal.wait_for("2 running");
    terminal.type(TerminalSession::kCtrlC);
    const Finished finished = terminal.wait();
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.strangers().empty());
    CHECK(finished.status == 130);
    CHECK(finished.out.find("2 operations: 0 completed, 2 cancelled") != std::string::npos);
    CHECK(::access(mark.c_str(), F_OK) != 0);
    for (const Json& operation : sandbox.list({"--all"})) {
        CHECK(operation.at("cancel").at("reason") == "signal");
        const bool has_begun = !operation.at("started_at").is_null();
        const Json& signals = operation.at("cancel").at("signals");
        CHECK((has_begun ? signals.at(0) == "SIGINT" : signals.empty()));
    }
}

TEST_CASE("a second Ctrl-C ends a deaf batch at once") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string line = Sandbox::fixture("deaf") + " " + up.path() + "\n";
    const std::string file = sandbox.write_file("lines", line + line);
    Child client = sandbox.start(batch(file, {"-j2", "--grace", "1h"}));
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    client.signal(SIGINT);
    wait_until("the cancelation", [&] { return sandbox.list({"--status", "cancelling"}).size() == 2; });
    CHECK(tree.alive().size() == tree.size());
    client.signal(SIGINT);
    CHECK(client.wait().status == 130);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("Ctrl-Z pauses all that a batch runs, and starts nothing until it goes on") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string line = Sandbox::fixture("announce_and_stay") + " " + up.path() + "\n";
    const std::string file = sandbox.write_file("lines", line + line + "echo last\n");
    TerminalSession terminal({"/bin/sh", "-i"}, sandbox.options());
    terminal.type("set -m; " + Sandbox::program() + " run --batch " + file + " -j2\n");
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(up.wait_for_line() == "up");
    const auto have = [&](const std::string& status, std::size_t number) {
        wait_until("they are " + status, [&] { return sandbox.list({"--status", status}).size() == number; });
    };
    have("pending", 1);
    terminal.type("\x1a");
    have("paused", 2);
    // While one has ended there is a place for the next, but the batch is stopped.
    CHECK(sandbox.run({"cancel", sandbox.list().at(0).at("id").dump(), "--now"}).status == 0);
    terminal.type("echo sh''ell\n");
    terminal.wait_for("shell");
    have("paused", 1);
    have("pending", 1);
    CHECK(sandbox.list({"--all"}).size() == 3);
    terminal.type("fg\n");
    terminal.wait_for("last");
    have("running", 1);
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
    terminal.wait_for("3 operations: 1 completed, 2 failed");
    terminal.type("exit\n");
    terminal.wait();
}

TEST_CASE("SIGUSR1 is passed on to all that a batch runs") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string line =
        "trap 'echo got; exit 7' USR1; echo up >" + up.path() + "; while :; do sleep 0.05; done\n";
    Child client = sandbox.start(batch(sandbox.write_file("lines", line + line), {"-j2"}));
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(up.wait_for_line() == "up");
    client.signal(SIGUSR1);
    const Finished finished = client.wait();
    CHECK(finished.status == 2);
    CHECK(finished.out == "got\ngot\n");
}

TEST_CASE("a batch whose client is killed ends") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string line = Sandbox::fixture("announce_and_stay") + " " + up.path() + "\n";
    const std::string file = sandbox.write_file("lines", line + line + line);
    Child client = sandbox.start(batch(file, {"-j2"}));
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(up.wait_for_line() == "up");
    wait_until("the third", [&] { return sandbox.list({"--status", "pending"}).size() == 1; });
    const Witness tree = sandbox.tree();
    client.signal(SIGKILL);
    tree.wait_until_gone();
    wait_until("their ends", [&] { return sandbox.list().empty(); });
    const Json all = sandbox.list({"--all"});
    CHECK(all.size() == 3);
    for (const Json& operation : all)
        CHECK(operation.at("cancel").at("reason") == "disconnect");
    CHECK(all.at(2).at("started_at").is_null());
}

TEST_CASE("every operation of a batch has the limits that were said, and can be cancelled alone") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string file = sandbox.write_file(
        "lines", Sandbox::fixture("announce_and_stay") + " " + up.path() + "\nsleep 100\necho end\n");
    Child client = sandbox.start(batch(file, {"-j1", "-n", "job{#}", "--timeout", "5s"}));
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", "job1"}).status == 0);
    const Finished finished = client.wait();
    CHECK(finished.status == 2);
    CHECK(finished.out == "end\n");
    CHECK(finished.err.find("operation 1 (job1) was cancelled (manual)") != std::string::npos);
    CHECK(finished.err.find("operation 2 (job2) timed out after 5.0s") != std::string::npos);
    CHECK(finished.err.find("3 operations: 1 completed, 2 failed") != std::string::npos);
}

TEST_CASE("a batch loses nothing and runs nothing twice although its supervisors are killed") {
    Sandbox sandbox;
    sandbox.make_directory("marks", 0777);
    std::string lines;
    std::string expected;
    constexpr std::size_t kLines = 40;
    for (std::size_t i = 0; i < kLines; ++i) {
        const std::string number = std::to_string(i);
        lines += number + "\n";
        expected += number + "\n";
    }
    Fifo go = sandbox.fifo();
    // Each takes a byte of the fifo, so that the test decides how far they are.
    const std::string script =
        "echo x >>" + sandbox.path("marks") + "/{}; read x <" + go.path() + "; echo {}";
    Child client =
        sandbox.start(batch(sandbox.write_file("lines", lines), {"-j3", "-k", "--", "sh", "-c", script}));
    const auto begun = [&](std::size_t number) {
        return ::access((sandbox.path("marks") + "/" + std::to_string(number)).c_str(), F_OK) == 0;
    };
    for (std::size_t i = 0; i < kLines; ++i) {
        wait_until("an operation", [&] { return begun(i); });
        if (i % 10 == 5) sandbox.kill_supervisor();
        go.go();
    }
    const Finished finished = client.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(finished.out == expected);
    for (std::size_t i = 0; i < kLines; ++i)
        CHECK(read_file(sandbox.path("marks") + "/" + std::to_string(i)) == "x\n");
    CHECK(finished.err.find("40 operations: 40 completed") != std::string::npos);
}

TEST_CASE("a batch whose reader goes away ends as a pipeline does") {
    Sandbox sandbox;
    const Finished finished =
        run_shell(sandbox, "(yes 'echo x' | " + Sandbox::program() +
                               " run --batch - -j2; echo $? >status) | head -n 1; cat status");
    CHECK(finished.out == "x\n141\n");
    CHECK(sandbox.list().empty());
}

TEST_CASE("Ctrl-C is heard while nobody reads the output") {
    Sandbox sandbox;
    auto pipe = make_pipe();
    REQUIRE(pipe);
    Fifo up = sandbox.fifo();
    const std::string file =
        sandbox.write_file("lines", Sandbox::fixture("streams") + " 1048576\n" +
                                        Sandbox::fixture("announce_and_stay") + " " + up.path() + "\n");
    SpawnOptions how = sandbox.options();
    how.stdio[1] = pipe->write_end.get();
    Child client = sandbox.start(batch(file, {"-j1"}), how);
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    client.signal(SIGINT);
    tree.wait_until_gone();
    wait_until("its end", [&] { return sandbox.list().empty(); });
    CHECK_FALSE(client.has_ended());
    client.signal(SIGINT);
    CHECK(client.wait().status == 130);
}

TEST_CASE("a batch that an ended operation has left behind loses none of its lines") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    const std::string status = sandbox.path("status");
    const std::string script = "(read line <" + go.path() + "; printf 'true\\ntrue\\ntrue\\ntrue\\n' | " +
                               Sandbox::program() + " run --batch - -j4 -q; echo $? >" + status +
                               ".new; mv " + status + ".new " + status + ") </dev/null >/dev/null 2>&1 &";
    REQUIRE(sandbox.run({"run", "--orphans", "leave", "-n", "left", "--", "sh", "-c", script}).status == 0);
    go.go();
    wait_until("the batch to end", [&] { return ::access(status.c_str(), F_OK) == 0; });
    CHECK(read_file(status) == "0\n");
    CHECK(count_of(sandbox.list({"--all", "true"}), "completed") == 4);
}

TEST_CASE("what makes no sense of a batch is refused before anything is started") {
    Sandbox sandbox;
    const auto refused = [&](const Words& words, int status, const std::string& sentence) {
        const Finished finished = sandbox.run(words);
        CHECK(finished.status == status);
        CHECK_MESSAGE(finished.err.find(sentence) != std::string::npos, finished.err);
    };
    refused(batch("-", {"--detach"}), 2, "--detach and --batch exclude each other");
    refused({"run", "-k", "true"}, 2, "are for --batch FILE");
    refused(batch("-", {"--halt", "often"}), 2, "--halt: \"often\" is not understood");
    refused(batch("-", {"--jobs", "0"}), 2, "--jobs: \"0\" is neither");
    refused(batch("/nowhere/file"), 125, "cannot open \"/nowhere/file\": no such file or directory");
    refused(batch("-", {"--cancel-on", "idle:5s"}), 2, "log");
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
