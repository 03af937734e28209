// Clients that wait, while the supervisor that they wait with is killed or replaced.
#include <doctest/doctest.h>

#include <csignal>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// An operation that ends with 7 when it is let go.
struct Held {
    explicit Held(Sandbox& sandbox, Words options = {})
        : up(sandbox.fifo()),
          go(sandbox.fifo()),
          id(sandbox.detach(options, {Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"})) {
        REQUIRE(up.wait_for_line() == "up");
    }
    Fifo up;
    Fifo go;
    std::string id;
};

enum class Loss { killed, restarted, stopped };

void lose_supervisor(Sandbox& sandbox, Loss how) {
    const Witness before({*sandbox.supervisor()});
    if (how == Loss::killed)
        sandbox.kill_supervisor();
    else if (how == Loss::restarted)
        CHECK(sandbox.run({"supervisor", "restart"}).status == 0);
    else
        CHECK(sandbox.run({"supervisor", "stop", "--keep"}).status == 0);
    before.wait_until_gone();
}

}  // namespace

TEST_SUITE_BEGIN("reconnect");

TEST_CASE("wait ends with the right status although its supervisor is lost") {
    Sandbox sandbox;
    Held held(sandbox);
    Child waiting = sandbox.start({"-v", "wait", held.id});
    waiting.wait_for_error("waiting for");
    SUBCASE("killed") {
        lose_supervisor(sandbox, Loss::killed);
    }
    SUBCASE("restarted") {
        lose_supervisor(sandbox, Loss::restarted);
    }
    SUBCASE("killed again and again") {
        for (int i = 0; i < 3; ++i) {
            lose_supervisor(sandbox, Loss::killed);
            wait_until("the next one", [&] { return sandbox.supervisor().has_value(); });
        }
    }
    SUBCASE("stopped for good, so that it finds the next one itself") {
        lose_supervisor(sandbox, Loss::stopped);
    }
    held.go.go();
    const Finished finished = waiting.wait();
    CHECK_MESSAGE(finished.status == 7, finished.err);
}

TEST_CASE("which operations wait waits for is decided once") {
    Sandbox sandbox;
    Held held(sandbox, {"-n", "job_1"});
    Child waiting = sandbox.start({"-v", "wait", "job_*"});
    waiting.wait_for_error("waiting for");
    // Stopped, so that it asks again only when there is another one that its words would pick.
    waiting.signal(SIGSTOP);
    lose_supervisor(sandbox, Loss::killed);
    sandbox.detach({"-n", "job_2"}, {"sleep", "1000"});
    waiting.signal(SIGCONT);
    held.go.go();
    const Finished finished = waiting.wait();
    CHECK_MESSAGE(finished.status == 7, finished.err);
}

TEST_CASE("the time that wait is given goes on although its supervisor is lost") {
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    Child waiting = sandbox.start({"-v", "wait", id, "--timeout", "800ms"});
    waiting.wait_for_error("waiting for");
    lose_supervisor(sandbox, Loss::killed);
    CHECK(waiting.wait().status == 124);
}

TEST_CASE("cancel returns only when everything is gone although its supervisor is lost") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach({"-n", "job_1"}, {Sandbox::fixture("deaf"), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    Child cancelling = sandbox.start({"cancel", "job_*", "--grace", "1h", "-m", "first"});
    wait_until("it to be asked for", [&] { return sandbox.show(id).at("status") == "cancelling"; });
    SUBCASE("killed") {
        lose_supervisor(sandbox, Loss::killed);
    }
    SUBCASE("restarted") {
        lose_supervisor(sandbox, Loss::restarted);
    }
    // One that was started since is none of its business.
    const std::string later = sandbox.detach({"-n", "job_2"}, {"sleep", "1000"});
    CHECK_FALSE(cancelling.has_ended());
    CHECK(sandbox.run({"cancel", id, "--now"}).status == 0);
    const Finished finished = cancelling.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(tree.alive() == std::vector<pid_t>{});
    CHECK(finished.out.find("job_1") != std::string::npos);
    CHECK(finished.out.find("SIGTERM SIGKILL") != std::string::npos);
    CHECK(finished.out.find("job_2") == std::string::npos);
    CHECK(sandbox.show(id).at("cancel").at("message") == "first");
    CHECK(sandbox.show(later).at("status") == "running");
}

TEST_CASE("logs -f prints on although its supervisor is lost, and ends with the operation") {
    Sandbox sandbox;
    Fifo go = sandbox.fifo();
    Fifo end = sandbox.fifo();
    const std::string id = sandbox.detach(
        {}, {"sh", "-c", "echo one; read x <" + go.path() + "; echo two; read x <" + end.path()});
    Child following = sandbox.start({"logs", "-f", id});
    following.wait_for_output("one\n");
    SUBCASE("killed") {
        lose_supervisor(sandbox, Loss::killed);
    }
    SUBCASE("stopped") {
        lose_supervisor(sandbox, Loss::stopped);
    }
    go.go();
    following.wait_for_output("two\n");
    CHECK_FALSE(following.has_ended());
    end.go();
    const Finished finished = following.wait();
    CHECK(finished.out == "one\ntwo\n");
    CHECK_MESSAGE(finished.status == 0, finished.err);
}

TEST_CASE("list --watch goes on with the next supervisor, and starts none") {
    Sandbox sandbox;
    sandbox.detach({"-n", "watched_one"}, {"sleep", "1000"});
    Child watching = sandbox.start({"list", "--watch"});
    watching.wait_for_output("watched_one");
    lose_supervisor(sandbox, Loss::killed);
    watching.wait_for_error("waiting for the next one");
    CHECK_FALSE(sandbox.supervisor().has_value());
    sandbox.detach({"-n", "watched_two"}, {"sleep", "1000"});
    watching.wait_for_output("watched_two");
    watching.signal(SIGINT);
    CHECK(watching.wait().status == 130);
}

TEST_CASE("a foreground run ends with its own status although its supervisor is replaced") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Child client =
        sandbox.start({"run", "--", Sandbox::fixture("leaves_children"), up.path(), go.path(), "7"});
    REQUIRE(up.wait_for_line() == "up");
    SUBCASE("restarted") {
        lose_supervisor(sandbox, Loss::restarted);
        go.go();
        CHECK(client.wait().status == 7);
    }
    SUBCASE("stopped, and then asked to end") {
        lose_supervisor(sandbox, Loss::stopped);
        client.signal(SIGINT);
        CHECK(client.wait().status == 130);
    }
}

TEST_CASE("a wait inside of an operation gives up where no supervisor comes") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string other = sandbox.detach({}, {"sleep", "1000"});
    const std::string log = sandbox.path("err");
    sandbox.detach({"--no-log"}, {"sh", "-c",
                                  "echo up >" + up.path() + "; " + Sandbox::program() + " wait " + other +
                                      " 2>" + log + "; echo $? >" + up.path()});
    REQUIRE(up.wait_for_line() == "up");
    lose_supervisor(sandbox, Loss::killed);
    CHECK(up.wait_for_line() == "125");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
