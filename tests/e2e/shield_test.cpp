// Shields: a cancelation that waits for what must not be interrupted.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// Runs below a shield until it is let go, then leaves the file `$2` and ends.
const std::string kSection = "echo in >\"$1\"; read x <\"$3\"; echo complete >\"$2\"";

// One shielded section in an operation that would run on for ever.
struct Section {
    explicit Section(Sandbox& sandbox, const std::string& options = "", const Words& run_options = {})
        : up(sandbox.fifo()), go(sandbox.fifo()), file(sandbox.path("complete")) {
        sandbox.set_environment("C", Sandbox::program());
        sandbox.set_environment("SECTION", kSection);
        id = sandbox.detach(run_options, {"sh", "-c",
                                          "\"$C\" shield " + options +
                                              " -- sh -c \"$SECTION\" sh \"$1\" \"$2\" \"$3\"; sleep 1000",
                                          "sh", up.path(), file, go.path()});
        CHECK(up.wait_for_line() == "in");
        tree = sandbox.tree();
    }
    bool is_complete() const { return ::access(file.c_str(), F_OK) == 0; }

    Fifo up;
    Fifo go;
    std::string file;
    std::string id;
    Witness tree{{}};
};

}  // namespace

TEST_SUITE_BEGIN("shield");

TEST_CASE("a cancelation waits for a shielded command and comes right after it") {
    Sandbox sandbox;
    Section section(sandbox, "--for 1h");
    // The shim has told the shield before the supervisor.
    Json shielded;
    wait_until("the shield", [&] { return !(shielded = sandbox.show(section.id).at("shielded")).is_null(); });
    CHECK(shielded == Json{{"count", 1}, {"limit", 3600.0}, {"until", nullptr}});
    CHECK(sandbox.run({"list"}).out.find("running (shielded)") != std::string::npos);

    CHECK(sandbox.run({"cancel", section.id, "--no-wait", "-m", "enough"}).status == 0);
    sandbox.wait_until_held(section.id);
    const Json held = sandbox.show(section.id);
    CHECK(held.at("status") == "cancelling");
    CHECK(held.at("cancel").at("message") == "enough");
    CHECK(held.at("cancel").at("signals") == Json::array());
    CHECK(sandbox.run({"show", section.id}).out.find("--now breaks it") != std::string::npos);
    CHECK(section.tree.alive().size() == section.tree.size());
    CHECK_FALSE(section.is_complete());

    section.go.go();
    CHECK(sandbox.run({"wait", section.id}).status == 143);
    CHECK(section.is_complete());
    CHECK(section.tree.alive() == std::vector<pid_t>{});
    const Json ended = sandbox.show(section.id);
    CHECK(ended.at("status") == "cancelled");
    CHECK(ended.at("cancel").at("signals") == Json::array({"SIGTERM"}));
    CHECK(ended.at("shielded").is_null());
}

TEST_CASE("cancel --now breaks a shield, also one that holds a cancelation already") {
    Sandbox sandbox;
    Section section(sandbox, "--for 1h");
    SUBCASE("at once") {}
    SUBCASE("after a polite one") {
        CHECK(sandbox.run({"cancel", section.id, "--no-wait"}).status == 0);
    }
    CHECK(sandbox.run({"cancel", section.id, "--now"}).status == 0);
    CHECK(section.tree.alive() == std::vector<pid_t>{});
    CHECK_FALSE(section.is_complete());
    CHECK(sandbox.show(section.id).at("cancel").at("signals") == Json::array({"SIGKILL"}));
}

TEST_CASE("a second Ctrl-C breaks a shield") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--", Sandbox::program(), "shield", "--for", "1h", "--",
                                  Sandbox::fixture("announce_and_stay"), up.path()});
    up.wait_for_line();
    const std::string id = sandbox.only_live_id();
    client.signal(SIGINT);
    sandbox.wait_until_held(id);
    client.signal(SIGINT);
    CHECK(client.wait().status == 137);
    CHECK(sandbox.strangers().empty());
}

TEST_CASE("a cancelation waits no longer than the limit of the shield") {
    Sandbox sandbox;
    Section section(sandbox, "--for 100ms");
    CHECK(sandbox.run({"cancel", section.id}).status == 0);
    CHECK(section.tree.alive() == std::vector<pid_t>{});
    CHECK_FALSE(section.is_complete());
    CHECK(sandbox.show(section.id).at("cancel").at("signals") == Json::array({"SIGTERM"}));
}

TEST_CASE("a shield ends with its process, however that ends") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({}, {Sandbox::program(), "shield", "--for", "1h", "--", "sh", "-c",
                                               "echo $PPID >\"$1\"; exec sleep 1000", "sh", up.path()});
    const pid_t shield = std::stoi(up.wait_for_line());
    const Witness tree = sandbox.tree();
    CHECK(sandbox.run({"cancel", id, "--no-wait"}).status == 0);
    sandbox.wait_until_held(id);
    CHECK(tree.alive().size() == tree.size());
    Witness({shield}).signal(SIGKILL);
    CHECK(sandbox.run({"wait", id}).status == 143);
    CHECK(tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("of several shields the last one counts") {
    Sandbox sandbox;
    sandbox.set_environment("C", Sandbox::program());
    Fifo up = sandbox.fifo();
    Fifo go_inner = sandbox.fifo();
    Fifo go_outer = sandbox.fifo();
    Fifo go_other = sandbox.fifo();
    const std::string id = sandbox.detach(
        {},
        {"sh", "-c",
         "\"$C\" shield --for 1h -- sh -c 'echo up >\"$1\"; read x <\"$4\"; echo other >\"$1\"' sh \"$@\" & "
         "\"$C\" shield --for 1h -- sh -c '\"$C\" shield --for 1h -- "
         "sh -c \"echo up >\\\"\\$1\\\"; read x <\\\"\\$2\\\"; echo inner >\\\"\\$1\\\"\" sh \"$@\"; "
         "read x <\"$3\"; echo outer >\"$1\"' sh \"$@\"; sleep 1000",
         "sh", up.path(), go_inner.path(), go_outer.path(), go_other.path()});
    REQUIRE(up.wait_for_line() == "up");
    REQUIRE(up.wait_for_line() == "up");
    const auto count = [&] {
        const Json shielded = sandbox.show(id).at("shielded");
        return shielded.is_null() ? 0 : shielded.at("count").get<int>();
    };
    wait_until("three shields", [&] { return count() == 3; });
    CHECK(sandbox.run({"cancel", id, "--no-wait"}).status == 0);
    go_inner.go();
    CHECK(up.wait_for_line() == "inner");
    wait_until("two shields", [&] { return count() == 2; });
    go_outer.go();
    CHECK(up.wait_for_line() == "outer");
    wait_until("one shield", [&] { return count() == 1; });
    CHECK(sandbox.show(id).at("status") == "cancelling");
    go_other.go();
    CHECK(up.wait_for_line() == "other");
    CHECK(sandbox.run({"wait", id}).status == 143);
}

TEST_CASE("a timeout waits for a shield too") {
    Sandbox sandbox;
    // Long enough for a shield to be up before, also with a sanitizer on a busy machine.
    Section section(sandbox, "--for 1h", {"--timeout", "4s"});
    sandbox.wait_until_held(section.id);
    CHECK(sandbox.show(section.id).at("status") == "cancelling");
    CHECK(section.tree.alive().size() == section.tree.size());
    section.go.go();
    CHECK(sandbox.run({"wait", section.id}).status == 124);
    CHECK(section.is_complete());
    CHECK(sandbox.show(section.id).at("cancel").at("reason") == "timeout");
}

TEST_CASE("a shield needs no supervisor") {
    Sandbox sandbox;
    Section section(sandbox, "--for 1h");
    SUBCASE("killed before the cancelation") {
        sandbox.kill_supervisor();
        CHECK(sandbox.show(section.id).at("shielded").at("count") == 1);
        CHECK(sandbox.run({"cancel", section.id, "--no-wait"}).status == 0);
        section.go.go();
    }
    SUBCASE("killed while one is held") {
        CHECK(sandbox.run({"cancel", section.id, "--no-wait"}).status == 0);
        sandbox.wait_until_held(section.id);
        sandbox.kill_supervisor();
        const Json adopted = sandbox.show(section.id);
        CHECK(adopted.at("status") == "cancelling");
        CHECK(adopted.at("shielded").at("until").is_string());
        section.go.go();
    }
    SUBCASE("killed, and the section ends before the next one comes") {
        CHECK(sandbox.run({"cancel", section.id, "--no-wait"}).status == 0);
        sandbox.wait_until_held(section.id);
        const Witness shim(sandbox.shims());
        sandbox.kill_supervisor();
        section.go.go();
        shim.wait_until_gone();
    }
    CHECK(sandbox.run({"wait", section.id}).status == 143);
    CHECK(section.is_complete());
    CHECK(section.tree.alive() == std::vector<pid_t>{});
}

TEST_CASE("the exit status of shield is its command's own") {
    Sandbox sandbox;
    const std::string no_program = sandbox.write_file("no-program", "x", 0644);
    const Words inside{"run", "--", Sandbox::program()};
    for (const Words& around : {Words{}, inside}) {
        const auto status = [&](const Words& command) {
            Words words = around;
            words.insert(words.end(), {"shield", "-q", "--"});
            words.insert(words.end(), command.begin(), command.end());
            return sandbox.run(words).status;
        };
        CHECK(status({"sh", "-c", "exit 7"}) == 7);
        CHECK(status({"sh", "-c", "kill -KILL $$"}) == 137);
        CHECK(status({"no-such-command-anywhere"}) == 127);
        CHECK(status({no_program}) == 126);
        CHECK(status({"true"}) == 0);
    }
}

TEST_CASE("shield waits for its command where SIGCHLD is ignored, and leaves it ignored for the command") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    how.in_child = [] { ::signal(SIGCHLD, SIG_IGN); };
    CHECK(sandbox.run({"shield", "-q", "--", "sh", "-c", "exit 7"}, how).status == 7);
    const Finished finished = sandbox.run({"shield", "-q", "--", "grep", "SigIgn", "/proc/self/status"}, how);
    const auto tab = finished.out.find('\t');
    REQUIRE(tab != std::string::npos);
    CHECK((std::stoull(finished.out.substr(tab + 1), nullptr, 16) >> (SIGCHLD - 1) & 1) == 1);
}

TEST_CASE("shield passes signals on to its command") {
    Sandbox sandbox;
    Child shield = sandbox.start({"shield", "-q", "--", "sh", "-c",
                                  "trap 'echo got-term; exit 5' TERM; trap 'echo got-usr1' USR1; echo up; "
                                  "while :; do sleep 0.05; done"});
    shield.wait_for_output("up");
    shield.signal(SIGUSR1);
    shield.wait_for_output("got-usr1");
    shield.signal(SIGTERM);
    CHECK(shield.wait().status == 5);
}

TEST_CASE("outside of an operation shield says so and runs its command") {
    Sandbox sandbox;
    const Finished loud = sandbox.run({"shield", "--", "echo", "ran"});
    CHECK(loud.status == 0);
    CHECK(loud.out == "ran\n");
    CHECK(loud.err == "cancelable: this is not part of an operation: nothing is held back\n");
    CHECK(sandbox.run({"shield", "-q", "--", "echo", "ran"}).err.empty());
    CHECK_FALSE(sandbox.supervisor());
}

TEST_CASE("shield refuses what makes no sense with one sentence") {
    Sandbox sandbox;
    CHECK(sandbox.run({"shield"}).status == 2);
    CHECK(sandbox.run({"shield", "--for", "-1", "--", "true"}).status == 2);
    CHECK(sandbox.run({"shield", "--for", "soon", "--", "true"}).status == 2);
    CHECK(sandbox.run({"shield", "--for"}).status == 2);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
