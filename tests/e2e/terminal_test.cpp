// Sessions on a real pseudo-terminal.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"

namespace cancelable::e2e {
namespace {

Words program_with(const Words& arguments) {
    Words command{Sandbox::program()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return command;
}

bool two_sleeps(const Sandbox& sandbox) {
    int sleeps = 0;
    for (const pid_t pid : sandbox.strangers()) {
        const Words words = command_line(pid);
        if (words.size() == 2 && words[0] == "sleep") ++sleeps;
    }
    return sleeps == 2;
}

}  // namespace

TEST_SUITE_BEGIN("terminal");

TEST_CASE("Ctrl-C typed at a run ends the whole tree with 130 and leaves nothing") {
    Sandbox sandbox;
    TerminalSession terminal(program_with({"run", "--", "sh", "-c", "sleep 100 & sleep 100"}),
                             sandbox.options());
    wait_until("both sleeps", [&] { return two_sleeps(sandbox); });
    const Witness tree = sandbox.tree();
    terminal.type(TerminalSession::kCtrlC);
    const Finished finished = terminal.wait();
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.strangers().empty());
    CHECK(finished.status == 130);
    CHECK_FALSE(finished.by_signal);
}

TEST_CASE("a second Ctrl-C ends a deaf tree at once") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    TerminalSession terminal(
        program_with({"run", "--grace", "1h", "--", Sandbox::fixture("deaf"), up.path()}), sandbox.options());
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    const std::string id = sandbox.only_live_id();
    terminal.type(TerminalSession::kCtrlC);
    wait_until("the cancelation", [&] { return sandbox.show(id).at("status") == "cancelling"; });
    CHECK(tree.alive().size() == tree.size());
    terminal.type(TerminalSession::kCtrlC);
    const Finished finished = terminal.wait();
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(finished.status == 137);
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGINT", "SIGKILL"}));
}

TEST_CASE("Ctrl-backslash ends a run with 131") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    TerminalSession terminal(
        program_with({"run", "--grace", "1h", "--", Sandbox::fixture("announce_and_stay"), up.path()}),
        sandbox.options());
    up.wait_for_line();
    terminal.type(TerminalSession::kCtrlBackslash);
    CHECK(terminal.wait().status == 131);
    CHECK(sandbox.strangers().empty());
}

TEST_CASE("a terminal that goes away takes the tree with it") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    TerminalSession terminal(
        program_with({"run", "--grace", "1h", "--", Sandbox::fixture("makes_session"), up.path()}),
        sandbox.options());
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    const std::string id = sandbox.only_live_id();
    terminal.hang_up();
    tree.wait_until_gone();
    CHECK(terminal.wait().status == 129);
    CHECK(sandbox.show(id).at("cancel").at("signals") == Json::array({"SIGHUP"}));
}

TEST_CASE("the command has the caller's terminal as stdin and stdout and stderr") {
    Sandbox sandbox;
    TerminalSession terminal(
        program_with({"run", "--", "sh", "-c",
                      "test -t 0 && test -t 1 && test -t 2 && echo all-three; read x; echo got-$x"}),
        sandbox.options());
    terminal.wait_for("all-three");
    terminal.type("typed\n");
    terminal.wait_for("got-typed");
    CHECK(terminal.wait().status == 0);
}

TEST_CASE("a run in the background of a shell does not take the shell's input") {
    Sandbox sandbox;
    // An interactive shell with job control: what is in its background may not read from the terminal.
    TerminalSession shell({"/bin/sh", "-i"}, sandbox.options());
    shell.type(Sandbox::program() + " run -- sh -c 'cat; echo cat-$((1+1))' &\n");
    shell.wait_for("cat-2");
    shell.type("echo still-$((40+2))\n");
    shell.wait_for("still-42");
    shell.type("exit\n");
    CHECK(shell.wait().status == 0);
}

TEST_CASE("the table is cut to the terminal's width") {
    Sandbox sandbox;
    const std::string long_name(200, 'x');
    sandbox.detach({"-n", long_name}, {"sleep", "1000"});
    for (const unsigned short columns : {60, 100}) {
        TerminalSession terminal(program_with({"--color", "never", "list"}), sandbox.options(), columns);
        const Finished finished = terminal.wait();
        CHECK(finished.status == 0);
        std::size_t longest = 0;
        std::size_t length = 0;
        for (const char byte : finished.out) {
            // A character is one column here, however many bytes it has.
            if (byte == '\n' || byte == '\r')
                length = 0;
            else if ((static_cast<unsigned char>(byte) & 0xc0) != 0x80)
                longest = std::max(longest, ++length);
        }
        CHECK(longest <= columns);
        CHECK(longest > columns / 2);
    }
}

TEST_CASE("colour is used on a terminal and nowhere else and never with NO_COLOR") {
    Sandbox sandbox;
    sandbox.detach({"-n", "job"}, {"sleep", "1000"});
    const std::string escape = "\x1b[";
    {
        TerminalSession terminal(program_with({"list"}), sandbox.options());
        CHECK(terminal.wait().out.find(escape) != std::string::npos);
    }
    CHECK(sandbox.run({"list"}).out.find(escape) == std::string::npos);
    CHECK(sandbox.run({"--color", "always", "list"}).out.find(escape) != std::string::npos);
    sandbox.set_environment("NO_COLOR", "1");
    {
        TerminalSession terminal(program_with({"list"}), sandbox.options());
        const Finished finished = terminal.wait();
        CHECK(finished.out.find(escape) == std::string::npos);
        CHECK(finished.out.find("job") != std::string::npos);
    }
    sandbox.unset_environment("NO_COLOR");
    {
        TerminalSession terminal(program_with({"--color", "never", "list"}), sandbox.options());
        CHECK(terminal.wait().out.find(escape) == std::string::npos);
    }
}

TEST_CASE("Ctrl-C in a foreground supervisor cancels everything") {
    Sandbox sandbox;
    TerminalSession supervisor(program_with({"supervisor", "run"}), sandbox.options());
    wait_until("the socket", [&] { return ::access(sandbox.socket().c_str(), F_OK) == 0; });
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "300ms", "--", Sandbox::fixture("deaf"), up.path()});
    up.wait_for_line();
    const Witness tree = sandbox.tree();
    supervisor.type(TerminalSession::kCtrlC);
    supervisor.wait();
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(client.wait().status == 137);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
