// What an operation says of itself: how far it is, and what has come of it.
#include <doctest/doctest.h>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"

namespace cancelable::e2e {
namespace {

// A shell script in which `c` is the program, and which reads `go` from a fifo as $1.
Words script(const std::string& text, const Words& arguments = {}) {
    Words words{"sh", "-c", "c() { " + Sandbox::program() + " \"$@\"; }; " + text, "sh"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

Words in_front_of(const Words& first, const Words& rest) {
    Words words = first;
    words.insert(words.end(), rest.begin(), rest.end());
    return words;
}

const std::string kReserve = "\x1b[1;23r";
const std::string kGiveBack = "\x1b[r";

}  // namespace

TEST_SUITE_BEGIN("progress");

TEST_CASE("progress is shown by list and show, and its last value when it is over") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"-n", "train"}, script("c progress 40% 'epoch 4/10' && echo up >\"$1\"; read x <\"$2\"; "
                                "for i in 5 6 7 8 9; do c progress $i/10 \"epoch $i/10\" || exit 9; done",
                                {up.path(), go.path()}));
    REQUIRE(up.wait_for_line() == "up");
    const Json live = sandbox.show(id).at("progress");
    CHECK(live.at("fraction") == doctest::Approx(0.4));
    CHECK(live.at("text") == "epoch 4/10");
    CHECK(live.at("at").is_string());
    CHECK(sandbox.list().at(0).at("progress") == live);
    CHECK(sandbox.run({"list"}).out.find("40% epoch 4/10") != std::string::npos);
    CHECK(sandbox.run({"show", id}).out.find("40% epoch 4/10") != std::string::npos);
    go.go();
    CHECK(sandbox.run({"wait", id}).status == 0);
    CHECK(sandbox.show(id).at("progress").at("text") == "epoch 9/10");
}

TEST_CASE("list has no column for progress where nobody has said any") {
    Sandbox sandbox;
    sandbox.detach({"-n", "quiet"}, {"sleep", "1000"});
    CHECK(sandbox.run({"list"}).out.find("PROGRESS") == std::string::npos);
    CHECK(sandbox.list().at(0).at("progress").is_null());
}

TEST_CASE("what is no progress and what is no result is a usage error that changes nothing") {
    Sandbox sandbox;
    const std::string large = sandbox.write_file("large", std::string(64 * 1024 + 1, 'x'), 0644);
    const std::string exact = sandbox.write_file("exact", std::string(64 * 1024, 'y'), 0644);
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {},
        script(
            "c result --text kept; c progress 1/4 first; "
            "for p in 101% -5% 4/0 nan '' 1e400; do c progress \"$p\" 2>/dev/null; echo $? >\"$1\"; done; "
            "c progress 2>/dev/null; echo $? >\"$1\"; c progress 1 a b 2>/dev/null; echo $? >\"$1\"; "
            "c result \"$2\" 2>/dev/null; echo $? >\"$1\"; c result - <\"$2\" 2>/dev/null; echo $? >\"$1\"; "
            "c result /nowhere/at/all 2>/dev/null; echo $? >\"$1\"; c result 2>/dev/null; echo $? >\"$1\"; "
            "c result / 2>/dev/null; echo $? >\"$1\"; c result a --text b 2>/dev/null; echo $? >\"$1\"; "
            "echo done >\"$1\"; sleep 1000",
            {up.path(), large}));
    for (int i = 0; i < 14; ++i)
        CHECK(up.wait_for_line() == "2");
    REQUIRE(up.wait_for_line() == "done");
    const Json shown = sandbox.show(id);
    CHECK(shown.at("result") == "kept");
    CHECK(shown.at("progress").at("text") == "first");
    // The sentence, and the limit from its other side.
    const Finished refused = sandbox.run({"run", "--", Sandbox::program(), "result", large});
    CHECK(refused.status == 2);
    CHECK(refused.err.find("a result has at most 65536 bytes") != std::string::npos);
    CHECK(sandbox.run({"run", "--", Sandbox::program(), "result", exact}).status == 0);
}

TEST_CASE("progress finds its operation without an environment too") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id =
        sandbox.detach({}, {"sh", "-c",
                            "setsid env -i \"$2\" --socket \"$3\" progress 7/8 bare && echo up >\"$1\"; "
                            "sleep 1000",
                            "sh", up.path(), Sandbox::program(), sandbox.socket()});
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.show(id).at("progress").at("text") == "bare");
}

TEST_CASE("outside of an operation progress and result say so and exit with 1") {
    Sandbox sandbox;
    for (const Words& words : {Words{"progress", "1/2"}, Words{"result", "--text", "x"}}) {
        // Without a supervisor, which is not started for it, and with one.
        const Finished alone = sandbox.run(words);
        CHECK(alone.status == 1);
        CHECK(alone.err == "cancelable: this is not part of an operation\n");
        CHECK_FALSE(sandbox.supervisor());
    }
    sandbox.detach({}, {"sleep", "1000"});
    for (const Words& words : {Words{"progress", "1/2"}, Words{"result", "--text", "x"}}) {
        const Finished beside = sandbox.run(words);
        CHECK(beside.status == 1);
        CHECK(beside.err == "cancelable: this is not part of an operation\n");
    }
}

TEST_CASE("a partial result is kept when the operation is cancelled") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {}, script("printf 'a\\000b\\377' | c result - && echo up >\"$1\"; sleep 1000", {up.path()}));
    REQUIRE(up.wait_for_line() == "up");
    CHECK(sandbox.run({"cancel", id}).status == 0);
    const Json shown = sandbox.show(id);
    CHECK(shown.at("status") == "cancelled");
    CHECK(shown.at("result") == Json{{"base64", "YQBi/w=="}});
    CHECK(sandbox.run({"show", id, "--result"}).out == std::string("a\0b\xff", 4));
    CHECK_FALSE(sandbox.list({"--all"}).at(0).contains("result"));
}

TEST_CASE("a result outlives a killed supervisor, while the operation runs and when it ends alone") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    const std::string id =
        sandbox.detach({}, script("c result --text first; c progress 1/2; echo up >\"$1\"; read x <\"$2\"",
                                  {up.path(), go.path()}));
    REQUIRE(up.wait_for_line() == "up");
    SUBCASE("adopted while it runs") {
        sandbox.kill_supervisor();
        const Json adopted = sandbox.show(id);
        CHECK(adopted.at("status") == "running");
        CHECK(adopted.at("result") == "first");
        go.go();
        CHECK(sandbox.run({"wait", id}).status == 0);
    }
    SUBCASE("ended while no supervisor lived") {
        const Witness shim(sandbox.shims());
        sandbox.kill_supervisor();
        go.go();
        shim.wait_until_gone();
    }
    const Json ended = sandbox.show(id);
    CHECK(ended.at("status") == "completed");
    CHECK(ended.at("result") == "first");
    wait_until("the result's file is gone", [&] {
        return ::access((sandbox.runtime_directory() + "/ops/" + id + ".result").c_str(), F_OK) != 0;
    });
}

TEST_CASE("a run on a terminal shows progress in a row of its own and gives the row back") {
    Sandbox sandbox;
    sandbox.set_environment("TERM", "xterm");
    Words command{Sandbox::program(), "run", "-n", "train", "--"};
    SUBCASE("at its end") {
        TerminalSession terminal(
            in_front_of(command, script("c progress 40% 'epoch 4/10'; read x; echo out-$x; exit 5")),
            sandbox.options());
        terminal.wait_for("40% epoch 4/10");
        terminal.type("typed\n");
        const Finished finished = terminal.wait();
        CHECK(finished.status == 5);
        CHECK(finished.out.find(kReserve) != std::string::npos);
        CHECK(finished.out.find("out-typed") != std::string::npos);
        CHECK(finished.out.rfind(kGiveBack) > finished.out.rfind("40% epoch"));
    }
    SUBCASE("after Ctrl-C") {
        TerminalSession terminal(
            in_front_of(command, script("c progress 40% 'epoch 4/10'; echo reading; read x")),
            sandbox.options());
        terminal.wait_for("40% epoch 4/10");
        // A shell that gets SIGINT when the command before has just ended goes on with the next one.
        terminal.wait_for("reading");
        terminal.type(TerminalSession::kCtrlC);
        const Finished finished = terminal.wait();
        CHECK(finished.status == 130);
        CHECK(finished.out.rfind(kGiveBack) != std::string::npos);
        CHECK(finished.out.rfind(kGiveBack) > finished.out.rfind("40% epoch"));
    }
    SUBCASE("in another width after a resize") {
        TerminalSession terminal(
            in_front_of(command, script("c progress 40% 'a text of some length'; read x")),
            sandbox.options());
        terminal.wait_for("40% a text of some length");
        terminal.resize(20);
        terminal.wait_for("40% a text o…");
        terminal.type("\n");
        CHECK(terminal.wait().status == 0);
    }
}

TEST_CASE("no row is taken with --quiet, without a terminal, or on a dumb one") {
    Sandbox sandbox;
    const Words inner = script("c progress 40% 'epoch 4/10'; echo out; read x");
    std::string kind = "xterm";
    Words options;
    SUBCASE("quiet") {
        options = {"-q"};
    }
    SUBCASE("dumb") {
        kind = "dumb";
    }
    SUBCASE("stderr is no terminal") {
        options = {};
    }
    sandbox.set_environment("TERM", kind);
    Words command{Sandbox::program(), "run"};
    command = in_front_of(in_front_of(in_front_of(command, options), {"--"}), inner);
    if (kind == "xterm" && options.empty())
        command = {"/bin/sh", "-c",    "exec \"$@\" 2>/dev/null", "sh", Sandbox::program(), "run", "--", "sh",
                   "-c",      inner[2]};
    TerminalSession terminal(command, sandbox.options());
    terminal.wait_for("out");
    // All that is said by now has been published: what has come since the first is kept at most for a moment.
    const std::string id = sandbox.only_live_id();
    wait_until("the progress", [&] { return !sandbox.show(id).at("progress").is_null(); });
    terminal.type("\n");
    const Finished finished = terminal.wait();
    CHECK(finished.status == 0);
    CHECK(finished.out.find("\x1b") == std::string::npos);
}

TEST_CASE("a run that finds its supervisor killed goes on showing progress") {
    Sandbox sandbox;
    sandbox.set_environment("TERM", "xterm");
    Words command{Sandbox::program(), "run", "-n", "train", "--"};
    TerminalSession terminal(
        in_front_of(command, script("c progress 1/4 before; read x; c progress 3/4 after; read x")),
        sandbox.options());
    terminal.wait_for("25% before");
    sandbox.kill_supervisor();
    terminal.type("\n");
    terminal.wait_for("75% after");
    terminal.type("\n");
    CHECK(terminal.wait().status == 0);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
