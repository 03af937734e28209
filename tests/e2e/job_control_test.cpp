// A foreground run as a job of a shell: Ctrl-Z, fg and bg.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"

namespace cancelable::e2e {
namespace {

constexpr std::string_view kCtrlZ = "\x1a";
const std::string kTakeRow = "\x1b[1;23r";
const std::string kGiveRowBack = "\x1b[r";

bool is_stopped(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    char text[512] = {};
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) return false;
    const std::string_view seen(text);
    return seen[seen.rfind(')') + 2] == 'T';
}

// `cancelable run COMMAND` as the job of an interactive shell.
class Job {
public:
    Job(Sandbox& sandbox, const std::string& command, Fifo& up)
        : sandbox_(sandbox), terminal_({"/bin/sh", "-i"}, sandbox.options()) {
        terminal_.type("set -m; " + Sandbox::program() + " run " + command + "\n");
        up.wait_for_line();
        id_ = sandbox.only_live_id();
        for (const pid_t pid : descendants(terminal_.process().pid()))
            if (program_of(pid) == "cancelable" && command_line(pid).at(1) == "run") client_ = pid;
        REQUIRE(client_ != 0);
    }

    TerminalSession& terminal() { return terminal_; }
    const std::string& id() const { return id_; }
    bool client_is_stopped() const { return is_stopped(client_); }
    bool is_in_front() const { return terminal_.foreground_group() == client_; }
    bool has(const std::string& status) const { return sandbox_.show(id_).at("status") == status; }

    void wait_for(const std::string& status) const {
        wait_until("it is " + status, [&] { return has(status); });
    }
    void wait_for_stopped_client() const {
        wait_until("the client to stop", [&] { return client_is_stopped(); });
    }
    // That the shell has the terminal; `word` is one that was not used for it before.
    void check_shell_answers(const std::string& word) {
        terminal_.type("echo sh''ell-" + word + "\n");
        terminal_.wait_for("shell-" + word);
    }
    void leave() {
        terminal_.type("exit\n");
        terminal_.wait();
    }

private:
    Sandbox& sandbox_;
    TerminalSession terminal_;
    std::string id_;
    pid_t client_ = 0;
};

std::string stayer(const Fifo& up) {
    return Sandbox::fixture("announce_and_stay") + " " + up.path();
}

}  // namespace

TEST_SUITE_BEGIN("job control");

TEST_CASE("Ctrl-Z pauses the operation and stops the run, and fg resumes both") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Job job(sandbox, stayer(up), up);
    job.terminal().type(kCtrlZ);
    job.wait_for("paused");
    job.check_shell_answers("1");
    CHECK(job.client_is_stopped());
    job.terminal().type("fg\n");
    job.wait_for("running");
    CHECK_FALSE(job.client_is_stopped());
    job.terminal().type(TerminalSession::kCtrlC);
    sandbox.run({"wait", job.id()});
    CHECK(job.has("cancelled"));
    job.leave();
}

TEST_CASE("bg after Ctrl-Z resumes the operation behind the shell's back, and fg brings it to the front") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Job job(sandbox, stayer(up), up);
    job.terminal().type(kCtrlZ);
    job.wait_for("paused");
    job.check_shell_answers("1");
    job.terminal().type("bg\n");
    job.wait_for("running");
    job.check_shell_answers("2");
    CHECK_FALSE(job.client_is_stopped());
    job.terminal().type("fg\n");
    // The shell is waiting for it: so this is for the run.
    wait_until("the run to have the terminal", [&] { return job.is_in_front(); });
    job.terminal().type(TerminalSession::kCtrlC);
    sandbox.run({"wait", job.id()});
    CHECK(job.has("cancelled"));
    CHECK(sandbox.show(job.id()).at("cancel").at("signals") == Json::array({"SIGINT"}));
    job.leave();
}

TEST_CASE("Ctrl-Z asks the next supervisor where its own was killed, and fg resumes") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Job job(sandbox, stayer(up), up);
    // On a very busy machine it may take too long until the next one is there: then only the client is
    // stopped.
    bool paused = false;
    for (int attempt = 0; attempt < 10 && !paused; ++attempt) {
        CAPTURE(attempt);
        // So that it is asked, or about to be, and does not answer.
        const Witness supervisor({sandbox.supervisor().value()});
        supervisor.signal(SIGSTOP);
        job.terminal().type(kCtrlZ);
        supervisor.signal(SIGKILL);
        supervisor.wait_until_gone();
        job.wait_for_stopped_client();
        job.check_shell_answers(std::to_string(attempt));
        paused = job.has("paused");
        job.terminal().type("fg\n");
        job.wait_for("running");
        wait_until("the client to go on", [&] { return !job.client_is_stopped(); });
    }
    CHECK(paused);
    job.terminal().type(TerminalSession::kCtrlC);
    sandbox.run({"wait", job.id()});
    CHECK(job.has("cancelled"));
    job.leave();
}

TEST_CASE("a supervisor that is killed during a pause leaves a job that fg resumes") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Job job(sandbox, stayer(up), up);
    job.terminal().type(kCtrlZ);
    job.wait_for("paused");
    job.wait_for_stopped_client();
    sandbox.kill_supervisor();
    job.check_shell_answers("1");
    job.terminal().type("fg\n");
    job.wait_for("running");
    job.terminal().type(TerminalSession::kCtrlC);
    sandbox.run({"wait", job.id()});
    CHECK(job.has("cancelled"));
    job.leave();
}

TEST_CASE("the row of progress is given back for the time of a Ctrl-Z") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string report = sandbox.write_file(
        "report", Sandbox::program() + " progress 40% 'epoch 4/10'; exec " + stayer(up) + "\n");
    Job job(sandbox, "-n train -- sh " + report, up);
    TerminalSession& terminal = job.terminal();
    std::size_t seen = terminal.wait_for("40% epoch 4/10").find("40% epoch 4/10");
    terminal.type(kCtrlZ);
    job.wait_for("paused");
    job.check_shell_answers("1");
    // Before the shell has the terminal again, and until fg.
    const std::string screen = terminal.wait_for("shell-1");
    const std::size_t given_back = screen.find(kGiveRowBack, seen);
    CHECK(given_back < screen.find("shell-1"));
    CHECK(screen.find(kTakeRow, given_back) == std::string::npos);
    terminal.type("fg\n");
    seen = terminal.wait_for(kTakeRow, given_back);
    terminal.wait_for("40% epoch 4/10", seen);
    terminal.type(TerminalSession::kCtrlC);
    sandbox.run({"wait", job.id()});
    terminal.wait_for(kGiveRowBack, seen);
    job.leave();
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
