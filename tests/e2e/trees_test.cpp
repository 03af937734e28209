// Hostile trees, each ended in every way there is. "Gone" is asked of the kernel, by pidfds that were taken
// while the tree was up, at the moment that the program claims it, without waiting a moment longer.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/terminal_session.h"

namespace cancelable::e2e {
namespace {

enum class Manners { polite, deaf, either };

struct Tree {
    std::string fixture;
    Manners manners;
    std::size_t at_least;  // processes, once it is up
    Words run_options = {};
    bool waits_to_go_on = false;
};

// Deaf trees need the whole grace, polite ones must not: so theirs is one that would be noticed.
Words run_options(const Tree& tree) {
    Words options = tree.run_options;
    options.insert(options.end(), {"--grace", tree.manners == Manners::polite ? "1h" : "300ms"});
    return options;
}

class Attempt {
public:
    Attempt(Sandbox& sandbox, const Tree& tree)
        : sandbox_(sandbox), tree_(tree), up_(sandbox.fifo()), go_(sandbox.fifo()) {}

    Words command() const {
        Words words{Sandbox::fixture(tree_.fixture), up_.path()};
        if (tree_.waits_to_go_on) words.push_back(go_.path());
        return words;
    }

    Words foreground(const Words& more = {}) const {
        Words words{"run"};
        for (const Words& part : {run_options(tree_), more, Words{"--"}, command()})
            words.insert(words.end(), part.begin(), part.end());
        return words;
    }

    Witness up() {
        Witness tree = once_up(up_.wait_for_line());
        CHECK(tree.size() >= tree_.at_least);
        return tree;
    }

    // Nothing where the operation ended before all of it was held.
    std::optional<Witness> up_before_timeout(const Child& client) {
        const auto line = up_.wait_for_line_unless_ended(client);
        if (!line) return std::nullopt;
        Witness tree = once_up(*line);
        if (tree.size() < tree_.at_least || sandbox_.list({"--status", "running"}).empty())
            return std::nullopt;
        return tree;
    }

    void check_gone(const Witness& tree) const {
        CHECK(tree.alive() == std::vector<pid_t>{});
        CHECK(sandbox_.strangers() == std::vector<pid_t>{});
    }

    void check_record(const std::string& id, const std::string& status, const std::string& reason) const {
        const Json record = sandbox_.show(id);
        INFO(record.dump());
        CHECK(record.at("status") == status);
        CHECK(record.at("cancel").at("reason") == reason);
        CHECK(record.at("cancel").at("survivors") == Json::array());
        CHECK(record.at("cancel").at("gone_at").is_string());
        CHECK(record.at("ended_at").is_string());
        const Json& signals = record.at("cancel").at("signals");
        if (tree_.manners == Manners::polite)
            CHECK(std::count(signals.begin(), signals.end(), "SIGKILL") == 0);
        if (tree_.manners == Manners::deaf) CHECK(signals.back() == "SIGKILL");
    }

    void check_status(int status, int polite) const {
        if (tree_.manners == Manners::polite) CHECK(status == polite);
        if (tree_.manners == Manners::deaf) CHECK(status == 137);
        if (tree_.manners == Manners::either) CHECK((status == polite || status == 137));
    }

private:
    Witness once_up(const std::string& line) {
        REQUIRE(line == "up");
        if (tree_.waits_to_go_on) {
            const std::vector<pid_t> before = sandbox_.strangers();
            go_.go();
            wait_until("the top process to exit",
                       [&] { return sandbox_.strangers().size() < before.size(); });
        }
        return sandbox_.tree();
    }

    Sandbox& sandbox_;
    const Tree& tree_;
    Fifo up_;
    Fifo go_;
};

Words detached(const Words& foreground) {
    Words words = foreground;
    words.insert(words.begin() + 1, "--detach");
    return words;
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

void ends_by_cancel(Sandbox& sandbox, const Tree& tree, const Words& how) {
    Attempt attempt(sandbox, tree);
    const Finished started = sandbox.run(detached(attempt.foreground()));
    REQUIRE_MESSAGE(started.status == 0, started.err);
    const std::string id = first_line(started.out);
    const Witness witness = attempt.up();
    Words cancel{"cancel", id};
    cancel.insert(cancel.end(), how.begin(), how.end());
    const Finished cancelled = sandbox.run(cancel);
    attempt.check_gone(witness);
    CHECK_MESSAGE(cancelled.status == 0, cancelled.err);
    if (how.empty()) {
        attempt.check_record(id, "cancelled", "manual");
    } else {
        const Json record = sandbox.show(id);
        CHECK(record.at("status") == "cancelled");
        CHECK(record.at("cancel").at("signals") == Json::array({"SIGKILL"}));
    }
}

void ends_by_timeout(Sandbox& sandbox, const Tree& tree) {
    // Long enough for the tree to be up before; where the machine is too slow for that, longer.
    for (const char* timeout : {"500ms", "4s", "20s"}) {
        Attempt attempt(sandbox, tree);
        // A tree that is still growing when its time is up may hear nothing of it before the grace is over.
        Words options{"--timeout", timeout};
        if (tree.manners == Manners::polite) options.insert(options.end(), {"--grace", "3s"});
        Child client = sandbox.start(attempt.foreground(options));
        const std::optional<Witness> witness = attempt.up_before_timeout(client);
        if (!witness) {
            client.wait();
            continue;
        }
        const Finished finished = client.wait();
        attempt.check_gone(*witness);
        attempt.check_status(finished.status, 124);
        const std::string id = sandbox.json({"list", "--all", "-n", "1", "--json"}).at(0).at("id").dump();
        attempt.check_record(id, "timeout", "timeout");
        return;
    }
    FAIL("the tree was never up in time");
}

void ends_by_ctrl_c(Sandbox& sandbox, const Tree& tree) {
    Attempt attempt(sandbox, tree);
    Words command{Sandbox::program()};
    const Words foreground = attempt.foreground();
    command.insert(command.end(), foreground.begin(), foreground.end());
    TerminalSession terminal(command, sandbox.options());
    const Witness witness = attempt.up();
    const std::string id = sandbox.only_live_id();
    terminal.type(TerminalSession::kCtrlC);
    const Finished finished = terminal.wait();
    attempt.check_gone(witness);
    attempt.check_status(finished.status, 130);
    attempt.check_record(id, "cancelled", "signal");
}

void ends_by_disconnect(Sandbox& sandbox, const Tree& tree) {
    Attempt attempt(sandbox, tree);
    Child client = sandbox.start(attempt.foreground());
    const Witness witness = attempt.up();
    const std::string id = sandbox.only_live_id();
    client.signal(SIGKILL);
    const Finished waited = sandbox.run({"wait", id});
    attempt.check_gone(witness);
    attempt.check_status(waited.status, 143);
    attempt.check_record(id, "cancelled", "disconnect");
}

void ends_every_way(const Tree& tree) {
    Sandbox sandbox;
    {
        INFO("by cancel");
        ends_by_cancel(sandbox, tree, {});
    }
    {
        INFO("by cancel --now");
        ends_by_cancel(sandbox, tree, {"--now"});
    }
    {
        INFO("by its timeout");
        ends_by_timeout(sandbox, tree);
    }
    {
        INFO("by Ctrl-C on a terminal");
        ends_by_ctrl_c(sandbox, tree);
    }
    {
        INFO("by its client's death");
        ends_by_disconnect(sandbox, tree);
    }
}

}  // namespace

TEST_SUITE_BEGIN("trees");

TEST_CASE("a well-behaved command is gone however it is ended") {
    ends_every_way({"announce_and_stay", Manners::polite, 1});
}

TEST_CASE("a tree of 200 children side by side is gone however it is ended") {
    ends_every_way({"wide", Manners::polite, 201});
}

TEST_CASE("a chain of 300 processes is gone however it is ended") {
    ends_every_way({"deep", Manners::polite, 301});
}

TEST_CASE("a tree that ignores SIGTERM and SIGINT and SIGHUP is gone however it is ended") {
    ends_every_way({"deaf", Manners::deaf, 4});
}

TEST_CASE("a tree in sessions of its own is gone however it is ended") {
    ends_every_way({"makes_session", Manners::polite, 7});
}

TEST_CASE("a tree that double-forks is gone however it is ended") {
    ends_every_way({"double_forks", Manners::polite, 4});
}

TEST_CASE("a tree that has stopped itself is gone however it is ended") {
    ends_every_way({"stops_itself", Manners::polite, 3});
}

TEST_CASE("children whose top has exited are gone however they are ended") {
    ends_every_way({"leaves_children", Manners::polite, 3, {"--orphans", "wait"}, true});
}

TEST_CASE("a mesh that forks anew as fast as it is killed is gone however it is ended") {
    ends_every_way({"respawns", Manners::deaf, 6});
}

TEST_CASE("a relay that changes its pid all the time is gone however it is ended") {
    ends_every_way({"relay", Manners::deaf, 1});
}

TEST_CASE("a tree that answers SIGTERM by forking is gone however it is ended") {
    ends_every_way({"answers_by_forking", Manners::deaf, 4});
}

TEST_CASE("a daemon with closed descriptors and another directory is gone however it is ended") {
    ends_every_way({"daemonizes", Manners::deaf, 2});
}

TEST_CASE("a tree in process groups of its own is gone however it is ended") {
    ends_every_way({"changes_group", Manners::polite, 4});
}

TEST_CASE("children of threads that are not the main one are gone however they are ended") {
    ends_every_way({"forks_in_threads", Manners::polite, 3});
}

TEST_CASE("a tree without environment and session and parent is gone however it is ended") {
    ends_every_way({"clears_environment", Manners::polite, 2});
}

TEST_CASE("a chain of execs that leaves children is gone however it is ended") {
    ends_every_way({"execs_again", Manners::polite, 21});
}

TEST_CASE("a tree below a subreaper of its own is gone however it is ended") {
    ends_every_way({"own_subreaper", Manners::deaf, 4});
}

TEST_CASE("a tree in user and pid namespaces of its own is gone however it is ended") {
    {
        Sandbox sandbox;
        Fifo up = sandbox.fifo();
        Child probe = sandbox.start({"run", "--", Sandbox::fixture("makes_namespace"), up.path()});
        if (up.wait_for_line() != "up") return skip("namespaces are not permitted here");
        probe.signal(SIGKILL);
        wait_until("the probe to be gone", [&] { return sandbox.strangers().empty(); });
    }
    ends_every_way({"makes_namespace", Manners::deaf, 5});
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
