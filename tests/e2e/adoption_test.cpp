// What a new supervisor makes of what an earlier one has left.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

struct Up {
    std::string id;
    Witness tree;
    Witness shim;
};

std::vector<pid_t> those_new(const std::vector<pid_t>& now, const std::vector<pid_t>& before) {
    std::vector<pid_t> fresh;
    std::ranges::copy_if(now, std::back_inserter(fresh),
                         [&](pid_t pid) { return std::ranges::find(before, pid) == before.end(); });
    return fresh;
}

Up detached_tree(Sandbox& sandbox, const std::string& fixture, const Words& options = {}) {
    const auto strangers = sandbox.strangers();
    const auto shims = sandbox.shims();
    Fifo up = sandbox.fifo();
    std::string id = sandbox.detach(options, {Sandbox::fixture(fixture), up.path()});
    REQUIRE(up.wait_for_line() == "up");
    return {std::move(id), Witness(those_new(sandbox.strangers(), strangers)),
            Witness(those_new(sandbox.shims(), shims))};
}

// Listens in place of a shim, and says nothing.
UniqueFd silent_shim(const std::string& path) {
    UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.copy(address.sun_path, sizeof address.sun_path - 1) == path.size());
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::chmod(path.c_str(), 0777) == 0);
    REQUIRE(::listen(listener.get(), 4) == 0);
    return listener;
}

// From Linux 6.5 on.
bool kernel_names_listeners() {
#ifdef SO_PEERPIDFD
    constexpr int kPeerPidfd = SO_PEERPIDFD;
#else
    constexpr int kPeerPidfd = 77;
#endif
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
    const UniqueFd one(pair[0]);
    const UniqueFd other(pair[1]);
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (::getsockopt(one.get(), SOL_SOCKET, kPeerPidfd, &pidfd, &size) != 0) return false;
    ::close(pidfd);
    return true;
}

}  // namespace

TEST_SUITE_BEGIN("adoption");

TEST_CASE("a shim that is killed after its supervisor was replaced is lost and its tree gone") {
    for (const char* fixture : {"makes_session", "double_forks", "daemonizes", "changes_group"}) {
        CAPTURE(fixture);
        Sandbox sandbox;
        const Up other = detached_tree(sandbox, "makes_session", {"-n", "other", "--grace", "1h"});
        const Up operation = detached_tree(sandbox, fixture, {"-n", "victim", "--tag", "k=v"});
        sandbox.kill_supervisor();
        REQUIRE(sandbox.list().size() == 2);
        operation.shim.signal(SIGKILL);
        CHECK(sandbox.run({"wait", operation.id}).status == 125);
        CHECK(operation.tree.alive() == std::vector<pid_t>{});
        const Json record = sandbox.show(operation.id);
        CHECK(record.at("status") == "lost");
        CHECK(record.at("tags").at("k") == "v");
        CHECK(sandbox.show(other.id).at("status") == "running");
        CHECK(other.tree.alive().size() == other.tree.size());
        CHECK(sandbox.run({"cancel", other.id}).status == 0);
    }
}

TEST_CASE("a shim that is killed while no supervisor lives is lost under its own name and its tree gone") {
    Sandbox sandbox;
    const Up other = detached_tree(sandbox, "makes_session", {"-n", "other", "--grace", "1h"});
    const Up operation = detached_tree(sandbox, "daemonizes", {"-n", "victim", "--tag", "k=v"});
    sandbox.kill_supervisor();
    operation.shim.signal(SIGKILL);
    operation.shim.wait_until_gone();
    CHECK(sandbox.run({"wait", operation.id}).status == 125);
    CHECK(operation.tree.alive() == std::vector<pid_t>{});
    const Json record = sandbox.show(operation.id);
    CHECK(record.at("status") == "lost");
    CHECK(record.at("name") == "victim");
    CHECK(record.at("tags").at("k") == "v");
    CHECK(sandbox.show(other.id).at("status") == "running");
    CHECK(sandbox.run({"cancel", other.id}).status == 0);
}

TEST_CASE("a shim that somebody has stopped holds up nobody and goes on once it is continued") {
    Sandbox sandbox;
    const Up operation = detached_tree(sandbox, "makes_session", {"-n", "hung", "--grace", "1h"});
    operation.shim.signal(SIGSTOP);
    sandbox.kill_supervisor();
    CHECK(sandbox.run({"run", "true"}).status == 0);
    const Json record = sandbox.show(operation.id);
    CHECK(record.at("name") == "hung");
    CHECK(record.at("status") == "running");
    operation.shim.signal(SIGCONT);
    CHECK(sandbox.run({"cancel", operation.id}).status == 0);
    CHECK(operation.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.run({"wait", operation.id}).status == 143);
}

TEST_CASE("a shim that somebody has stopped is woken up to cancel its operation, by a later supervisor too") {
    Sandbox sandbox;
    const Up other = detached_tree(sandbox, "makes_session", {"-n", "other", "--grace", "1h"});
    const Up operation = detached_tree(sandbox, "makes_session", {"-n", "hung", "--grace", "1h"});
    if (!kernel_names_listeners()) return skip("this kernel does not tell the process behind a socket");
    SUBCASE("by the supervisor that launched it") {
        operation.shim.signal(SIGSTOP);
    }
    SUBCASE("by one that has heard of it") {
        sandbox.kill_supervisor();
        REQUIRE(sandbox.list().size() == 2);
        operation.shim.signal(SIGSTOP);
    }
    SUBCASE("by one that has never heard of it") {
        operation.shim.signal(SIGSTOP);
        sandbox.kill_supervisor();
    }
    CHECK(sandbox.run({"cancel", operation.id}).status == 0);
    CHECK(operation.tree.alive() == std::vector<pid_t>{});
    const Json record = sandbox.show(operation.id);
    CHECK(record.at("status") == "cancelled");
    CHECK(record.at("cancel").at("signals") == Json::array({"SIGTERM"}));
    CHECK(sandbox.show(other.id).at("status") == "running");
    CHECK(sandbox.run({"cancel", other.id}).status == 0);
}

TEST_CASE("what the history knows as ended does not run, although a shim that held it does not answer") {
    Sandbox sandbox;
    if (!sandbox.keeps_history()) return skip("no history is kept");
    Fifo go = sandbox.fifo();
    const std::string id = sandbox.detach({"--no-log"}, {"sh", "-c", "read x <" + go.path()});
    const std::string files = sandbox.runtime_directory() + "/ops/" + id;
    const std::string kept = sandbox.path("kept");
    wait_until("its beginning", [&] { return std::filesystem::exists(files + ".begun"); });
    std::filesystem::copy_file(files + ".begun", kept);
    REQUIRE(::chmod(kept.c_str(), 0666) == 0);
    go.go();
    CHECK(sandbox.run({"wait", id}).status == 0);
    sandbox.wait_until_recorded();
    sandbox.kill_supervisor();
    // It writes a record where it had not been let go yet.
    wait_until("the shim to be gone",
               [&] { return sandbox.shims().empty() && sandbox.idle_shims().empty(); });
    for (const auto& entry : std::filesystem::directory_iterator(sandbox.runtime_directory() + "/ops"))
        std::filesystem::remove(entry.path());
    // As it is for a moment, until the shim of an operation that is over gets the name of the next one.
    std::filesystem::rename(kept, files + ".begun");
    UniqueFd silent = silent_shim(files + ".channel");
    CHECK(sandbox.list().empty());
    CHECK(sandbox.show(id).at("status") == "completed");
    silent.reset();
    CHECK(sandbox.run({"wait", id}).status == 0);
    CHECK(sandbox.list({"--all"}).size() == 2);  // and that of keeps_history()
}

TEST_CASE("the children of an operation that was cancelled while no supervisor lived are cancelled with it") {
    Sandbox sandbox;
    const Up parent = detached_tree(sandbox, "deaf", {"-n", "parent", "--grace", "1ms"});
    const Up child =
        detached_tree(sandbox, "makes_session", {"-n", "child", "--parent", parent.id, "--grace", "1h"});
    sandbox.kill_supervisor();
    parent.shim.signal(SIGTERM);
    parent.tree.wait_until_gone();
    parent.shim.wait_until_gone();
    // One that is started later is none of its business.
    CHECK(sandbox.run({"wait", child.id}).status == 143);
    CHECK(child.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(parent.id).at("status") == "cancelled");
    const Json cancel = sandbox.show(child.id).at("cancel");
    CHECK(cancel.at("reason") == "parent");
    CHECK(cancel.at("message") == "its parent, operation " + parent.id + ", was cancelled");
}

TEST_CASE("a pending cancelation is adopted with who asked for it and why") {
    Sandbox sandbox;
    const Up operation = detached_tree(sandbox, "deaf", {"-n", "slow", "--grace", "1h", "--tag", "a=b"});
    CHECK(sandbox.run({"cancel", operation.id, "--no-wait", "-m", "enough of it"}).status == 0);
    wait_until("the signal to be reported",
               [&] { return sandbox.show(operation.id).at("cancel").at("processes") != 0; });
    Json before = sandbox.show(operation.id);
    sandbox.kill_supervisor();
    Json after = sandbox.show(operation.id);
    CHECK(after.at("status") == "cancelling");
    CHECK(after.at("cancel").at("message") == "enough of it");
    after["duration"] = before.at("duration");
    CHECK(after == before);
    CHECK(sandbox.run({"cancel", "--now", operation.id}).status == 0);
}

TEST_CASE("what lies in the place of an exit record makes one lost operation and no more") {
    Sandbox sandbox;
    const std::string running = sandbox.detach({"--grace", "1h"}, {"sleep", "1000"});
    sandbox.kill_supervisor();
    const std::string ops = sandbox.runtime_directory() + "/ops";
    sandbox.write_file("run/cancelable/ops/901.exit", "nonsense");
    sandbox.write_file("run/cancelable/ops/902.exit", "");
    sandbox.make_directory("run/cancelable/ops/903.exit");
    REQUIRE(::mkfifo((ops + "/904.exit").c_str(), 0600) == 0);
    std::filesystem::create_symlink("/dev/zero", ops + "/905.exit");
    std::filesystem::resize_file(sandbox.write_file("run/cancelable/ops/906.exit", "x"), 1ULL << 40);
    for (const char* id : {"901", "902", "903", "904", "905", "906"})
        CHECK_MESSAGE(sandbox.run({"wait", id}).status == 125, id);
    CHECK(sandbox.show(running).at("status") == "running");
    // Ids go on behind all that was seen, also for the next supervisor, and nothing is lost a second time.
    sandbox.kill_supervisor();
    CHECK(std::stoul(sandbox.detach({}, {"true"})) > 906);
    CHECK(sandbox.run({"cancel", running}).status == 0);
}

TEST_CASE("ids are never used twice though both their files are gone or full of nonsense") {
    Sandbox sandbox;
    const Up live = detached_tree(sandbox, "makes_session", {"--grace", "1h"});
    unsigned long last = std::stoul(live.id);
    const std::string runtime = sandbox.runtime_directory() + "/ids";
    const std::string state = sandbox.path("state/cancelable/ids");
    for (const char* nonsense :
         {"", "x", "00000000000000000001\n", "18446744073709551615\n", "99999999999999999999999\n"}) {
        CAPTURE(nonsense);
        // It ends while nobody is there, under the highest id of all.
        Fifo up = sandbox.fifo();
        Fifo go = sandbox.fifo();
        const std::string ended =
            sandbox.detach({}, {Sandbox::fixture("leaves_children"), up.path(), go.path(), "0"});
        REQUIRE(up.wait_for_line() == "up");
        CHECK(std::stoul(ended) > last);
        last = std::stoul(ended);
        sandbox.kill_supervisor();
        go.go();
        wait_until("its shim to leave", [&] { return sandbox.shims().size() == 1; });
        for (const std::string& file : {runtime, state}) {
            std::filesystem::remove(file);
            if (*nonsense != '\0') std::ofstream(file) << nonsense;
            ::chmod(file.c_str(), 0666);
        }
        // The record is read and cleared away by one supervisor, and the next one must know all the same.
        CHECK(sandbox.run({"list"}).status == 0);
        sandbox.kill_supervisor();
    }
    CHECK(std::stoul(sandbox.detach({}, {"true"})) > last);
    CHECK(sandbox.run({"cancel", live.id}).status == 0);
}

TEST_CASE("two supervisors never share a directory though somebody removes the lock") {
    Sandbox sandbox;
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    const auto first = sandbox.supervisor();
    std::filesystem::remove(sandbox.runtime_directory() + "/lock");
    CHECK(sandbox.run({"supervisor", "run"}).status == 1);
    CHECK(sandbox.supervisor() == first);
    CHECK(sandbox.supervisor_count() == 1);
}

TEST_CASE("clients that race after a killed supervisor start one, and each command runs once") {
    Sandbox sandbox;
    const std::string books = sandbox.make_directory("books");
    CHECK(sandbox.run({"supervisor", "start"}).status == 0);
    for (int round = 0; round < 3; ++round) {
        const Witness supervisor({*sandbox.supervisor()});
        std::vector<Child> clients;
        for (int i = 0; i < 10; ++i) {
            if (i == 5) supervisor.signal(SIGKILL);
            const std::string name = std::to_string(round) + "-" + std::to_string(i);
            clients.push_back(
                sandbox.start({"run", "--", Sandbox::fixture("keeps_books"), books, name, "ends", "3"}));
        }
        for (Child& client : clients) {
            const Finished finished = client.wait();
            CHECK_MESSAGE(finished.status == 3, finished.err);
        }
        wait_until("one supervisor", [&] { return sandbox.supervisor_count() == 1; });
    }
    for (const auto& entry : std::filesystem::directory_iterator(books))
        CHECK(entry.path().extension() != ".again");
}

TEST_CASE("a run that meets a stopping supervisor gets the next one") {
    Sandbox sandbox;
    const Up operation = detached_tree(sandbox, "deaf", {"-n", "deaf", "--grace", "1h"});
    const Witness supervisor({*sandbox.supervisor()});
    Child stop = sandbox.start({"supervisor", "stop", "--cancel"});
    wait_until("the supervisor to be stopping",
               [&] { return sandbox.show(operation.id).at("status") == "cancelling"; });
    Child client = sandbox.start({"run", "sh", "-c", "exit 9"});
    Child detached = sandbox.start({"run", "-d", "--", "sh", "-c", "exit 8"});
    CHECK(sandbox.run({"cancel", "--now", "--no-wait", operation.id}).status == 0);
    supervisor.wait_until_gone();
    CHECK(stop.wait().status == 0);
    const Finished finished = client.wait();
    CHECK_MESSAGE(finished.status == 9, finished.err);
    const Finished started = detached.wait();
    REQUIRE_MESSAGE(started.status == 0, started.err);
    CHECK(sandbox.run({"wait", started.out.substr(0, started.out.find('\n'))}).status == 8);
}

TEST_CASE("foreground runs outlive a restart of the supervisor and end with their own status") {
    Sandbox sandbox;
    std::vector<Fifo> goes;
    std::vector<Child> clients;
    for (int i = 0; i < 3; ++i) {
        Fifo up = sandbox.fifo();
        goes.push_back(sandbox.fifo());
        clients.push_back(sandbox.start({"run", "--", Sandbox::fixture("leaves_children"), up.path(),
                                         goes.back().path(), std::to_string(40 + i)}));
        REQUIRE(up.wait_for_line() == "up");
    }
    for (int round = 0; round < 3; ++round) {
        CHECK(sandbox.run({"supervisor", "restart"}).status == 0);
        CHECK(sandbox.list().size() == 3);
    }
    for (int i = 0; i < 3; ++i) {
        goes[static_cast<std::size_t>(i)].go();
        const Finished finished = clients[static_cast<std::size_t>(i)].wait();
        CHECK_MESSAGE(finished.status == 40 + i, finished.err);
    }
}

TEST_CASE("a restart loses nothing of shims that another version of the program has started") {
    Sandbox sandbox;
    SUBCASE("an earlier one") {
        sandbox.set_environment("CANCELABLE_SHIM", Sandbox::shim_of_version("earlier"));
    }
    SUBCASE("a later one") {
        sandbox.set_environment("CANCELABLE_SHIM", Sandbox::shim_of_version("later"));
    }
    Fifo up = sandbox.fifo();
    Fifo go = sandbox.fifo();
    Fifo go_meanwhile = sandbox.fifo();
    const Up stays =
        detached_tree(sandbox, "makes_session", {"-n", "stays", "--tag", "k=v", "--timeout", "1h"});
    const Up cancelled = detached_tree(sandbox, "deaf", {"-n", "cancelled", "--grace", "1h"});
    REQUIRE(sandbox.run({"cancel", cancelled.id, "--no-wait", "-m", "enough"}).status == 0);
    wait_until("the signal to be reported",
               [&] { return sandbox.show(cancelled.id).at("cancel").at("processes") != 0; });
    Child client = sandbox.start({"run", "-n", "in-front", "--", "sh", "-c",
                                  "echo up >" + up.path() + "; read x <" + go.path() + "; exit 7"});
    REQUIRE(up.wait_for_line() == "up");
    const std::string meanwhile =
        sandbox.detach({"-n", "meanwhile"}, {"sh", "-c", "read x <" + go_meanwhile.path() + "; exit 9"});
    const Witness meanwhile_shim({parent_of(sandbox.command_of(meanwhile))});
    const auto settled = [&] {
        Json operations = sandbox.list();
        for (Json& operation : operations)
            operation.erase("duration");
        return operations;
    };
    wait_until("all to be known to run", [&] { return sandbox.list({"--status", "pending"}).empty(); });
    const Json before = settled();
    REQUIRE(before.size() == 4);

    // The upgrade: today's programs take over, and later what has ended while there was nobody.
    sandbox.set_environment("CANCELABLE_SHIM", Sandbox::shim());
    CHECK(sandbox.run({"supervisor", "restart"}).status == 0);
    CHECK(settled() == before);
    const auto supervisor = Witness({sandbox.supervisor().value()});
    // The client would start another one.
    client.signal(SIGSTOP);
    supervisor.signal(SIGKILL);
    supervisor.wait_until_gone();
    go_meanwhile.go();
    meanwhile_shim.wait_until_gone();
    CHECK(sandbox.run({"wait", meanwhile}).status == 9);
    CHECK(sandbox.show(meanwhile).at("name") == "meanwhile");
    client.signal(SIGCONT);
    go.go();
    CHECK(client.wait().status == 7);
    CHECK(sandbox.run({"cancel", cancelled.id, "--now"}).status == 0);
    CHECK(cancelled.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.show(cancelled.id).at("cancel").at("message") == "enough");
    CHECK(sandbox.show(cancelled.id).at("cancel").at("signals") == Json::array({"SIGTERM", "SIGKILL"}));
    CHECK(stays.tree.alive().size() == stays.tree.size());
    CHECK(sandbox.run({"cancel", stays.id}).status == 0);
    CHECK(stays.tree.alive() == std::vector<pid_t>{});
    CHECK(sandbox.run({"run", "sh", "-c", "exit 5"}).status == 5);
    CHECK(sandbox.list({"--all"}).size() == 5);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
