// The directories that the programs live in: what is refused, and what happens when a disk is full.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

namespace fs = std::filesystem;

void check_refused(Sandbox& sandbox, const std::string& directory) {
    for (const Words& arguments : {Words{"run", "true"}, Words{"list"}, Words{"supervisor", "run"}}) {
        const Finished finished = sandbox.run(arguments);
        CAPTURE(arguments[0]);
        CHECK(finished.status == 125);
        CHECK(finished.out == "");
        CHECK_MESSAGE(finished.err.find(directory) != std::string::npos, finished.err);
        CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    }
    wait_until("no supervisor", [&] { return sandbox.supervisor_count() == 0; });
}

mode_t mode_of(const std::string& path) {
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 07777;
}

}  // namespace

TEST_SUITE_BEGIN("directories");

TEST_CASE("a runtime directory that is open to others is refused") {
    Sandbox sandbox;
    for (const unsigned mode : {0777U, 0750U, 0701U}) {
        sandbox.make_directory("run/cancelable", mode);
        check_refused(sandbox, sandbox.runtime_directory());
    }
}

TEST_CASE("a runtime directory of another user is refused") {
    if (::geteuid() != 0) return skip("only root can make a directory of another user");
    Sandbox sandbox;
    sandbox.make_directory("run/cancelable", 0700);
    REQUIRE(::chown(sandbox.runtime_directory().c_str(), 12345, 12345) == 0);
    check_refused(sandbox, sandbox.runtime_directory());
}

TEST_CASE("a runtime directory that is a symbolic link to somebody else's is refused") {
    if (::geteuid() != 0) return skip("only root can make a directory of another user");
    Sandbox sandbox;
    const std::string other = sandbox.make_directory("elsewhere", 0700);
    REQUIRE(::chown(other.c_str(), 12345, 12345) == 0);
    REQUIRE(::symlink(other.c_str(), sandbox.runtime_directory().c_str()) == 0);
    check_refused(sandbox, sandbox.runtime_directory());
}

TEST_CASE("a runtime directory that is a file is refused") {
    Sandbox sandbox;
    sandbox.write_file("run/cancelable", "");
    check_refused(sandbox, sandbox.runtime_directory());
}

TEST_CASE("without XDG_RUNTIME_DIR a checked directory under the temporary one serves") {
    Sandbox sandbox;
    sandbox.unset_environment("XDG_RUNTIME_DIR");
    const std::string directory = sandbox.path("tmp/cancelable-" + std::to_string(test_user()));
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(mode_of(directory) == 0700);
    CHECK(fs::is_socket(directory + "/socket"));
    sandbox.kill_supervisor();
    ::chmod(directory.c_str(), 0755);
    check_refused(sandbox, directory);
    ::chmod(directory.c_str(), 0700);
}

TEST_CASE("the directories and what lies in them are for their owner alone") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    how.in_child = [] { ::umask(0); };
    const Finished started =
        sandbox.run({"run", "--detach", "sh", "-c", "echo logged; exec sleep 1000"}, how);
    REQUIRE(started.status == 0);
    const std::string log = sandbox.show(started.out.substr(0, started.out.find('\n'))).at("log");
    CHECK(mode_of(log) == 0600);
    CHECK(mode_of(sandbox.runtime_directory()) == 0700);
    CHECK(mode_of(sandbox.path("state/cancelable")) == 0700);
    for (const auto& entry : fs::recursive_directory_iterator(sandbox.path("state/cancelable"))) {
        CAPTURE(entry.path().string());
        CHECK((mode_of(entry.path()) & 077) == 0);
    }
    for (const auto& entry : fs::recursive_directory_iterator(sandbox.runtime_directory())) {
        CAPTURE(entry.path().string());
        CHECK((mode_of(entry.path()) & 077) == 0);
    }
}

TEST_CASE("an environment is never written to a disk") {
    Sandbox sandbox;
    sandbox.set_environment("SECRET", "abracadabra-open-sesame");
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    CHECK(sandbox.run({"cancel", id}).status == 0);
    for (const char* part : {"state", "run", "config", "home", "tmp"})
        for (const auto& entry : fs::recursive_directory_iterator(sandbox.path(part))) {
            if (!entry.is_regular_file()) continue;
            std::ifstream file(entry.path());
            const std::string text{std::istreambuf_iterator<char>(file), {}};
            CAPTURE(entry.path().string());
            CHECK(text.find("abracadabra") == std::string::npos);
        }
}

TEST_CASE("a socket path that the kernel cannot take is refused with the limit") {
    Sandbox sandbox;
    const std::string deep = sandbox.path(std::string(100, 'd'));
    for (const Words& arguments :
         {Words{"--socket", deep + "/socket", "run", "true"}, Words{"--socket", deep + "/socket", "list"}}) {
        const Finished finished = sandbox.run(arguments);
        CHECK(finished.status == 125);
        CHECK_MESSAGE(finished.err.find("107") != std::string::npos, finished.err);
    }
    sandbox.set_environment("XDG_RUNTIME_DIR", deep);
    const Finished finished = sandbox.run({"run", "true"});
    CHECK(finished.status == 125);
    CHECK_MESSAGE(finished.err.find("107") != std::string::npos, finished.err);
    wait_until("no supervisor", [&] { return sandbox.supervisor_count() == 0; });
}

TEST_CASE("--socket and CANCELABLE_SOCKET choose another supervisor") {
    Sandbox sandbox;
    sandbox.make_directory("other");
    const std::string other = sandbox.path("other/socket");
    CHECK(sandbox.run({"--socket", other, "run", "-d", "-n", "there", "sleep", "1000"}).status == 0);
    sandbox.detach({"-n", "here"}, {"sleep", "1000"});
    CHECK(sandbox.supervisor_count() == 2);
    CHECK(sandbox.json({"list", "--json"}).at(0).at("name") == "here");
    sandbox.set_environment("CANCELABLE_SOCKET", other);
    CHECK(sandbox.json({"list", "--json"}).at(0).at("name") == "there");
    CHECK(sandbox.run({"--socket", sandbox.socket(), "list", "-q"}).out != sandbox.run({"list", "-q"}).out);
    CHECK(sandbox.run({"supervisor", "stop", "--cancel"}).status == 0);
    sandbox.unset_environment("CANCELABLE_SOCKET");
}

TEST_CASE("a stale socket is replaced") {
    Sandbox sandbox;
    sandbox.make_directory("run/cancelable", 0700);
    {
        // Bound by a process that is gone: nobody listens.
        const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strcpy(address.sun_path, sandbox.socket().c_str());
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE((::geteuid() != 0 || ::chown(address.sun_path, test_user(), test_group()) == 0));
    }
    CHECK(sandbox.run({"run", "true"}).status == 0);
    sandbox.kill_supervisor();
    CHECK(fs::exists(sandbox.socket()));
    CHECK(sandbox.run({"run", "true"}).status == 0);
    CHECK(sandbox.supervisor_count() == 1);
}

TEST_CASE("a full disk for logs fails that run and nothing else") {
    if (::geteuid() != 0) return skip("only root can mount a small disk");
    Sandbox sandbox;
    sandbox.make_directory("state/cancelable/logs", 0700);
    const std::string logs = sandbox.make_directory("state/cancelable", 0700) + "/logs";
    const std::string settings =
        "size=64k,mode=0700,uid=" + std::to_string(test_user()) + ",gid=" + std::to_string(test_group());
    if (::mount("tmpfs", logs.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, settings.c_str()) != 0)
        return skip("a small disk cannot be mounted here");
    {
        // What a command writes beyond the disk's end is its own error, as on any full disk.
        const std::string id =
            sandbox.detach({}, {"sh", "-c", "head -c 1000000 /dev/zero; echo status-$? >&2; exit 9"});
        CHECK(sandbox.run({"wait", id}).status == 9);
        const Finished run = sandbox.run({"run", "echo", "fine"});
        CHECK(run.status == 0);
        CHECK(run.out == "fine\n");
        // With no room for even one file more, a detached run either goes without or says why it cannot.
        for (int i = 0; i < 200; ++i)
            if (!std::ofstream(logs + "/filler" + std::to_string(i)).good()) break;
        const Finished full = sandbox.run({"run", "--detach", "true"});
        if (full.status != 0) {
            CHECK(full.status == 125);
            CHECK_MESSAGE(full.err.find(logs) != std::string::npos, full.err);
        }
        CHECK(sandbox.run({"run", "--detach", "--no-log", "-n", "unlogged", "sleep", "1000"}).status == 0);
        CHECK(sandbox.run({"cancel", "unlogged"}).status == 0);
        CHECK(sandbox.strangers().empty());
        CHECK(sandbox.run({"supervisor", "stop", "--cancel"}).status == 0);
    }
    ::umount2(logs.c_str(), MNT_DETACH);
}

TEST_CASE("a supervisor that cannot start says why in the client's error") {
    Sandbox sandbox;
    // It may not write where its lock and its socket belong.
    sandbox.make_directory("run/cancelable", 0500);
    const Finished finished = sandbox.run({"run", "true"});
    CHECK(finished.status == 125);
    CHECK_MESSAGE(finished.err.find(sandbox.runtime_directory()) != std::string::npos, finished.err);
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
    wait_until("no supervisor", [&] { return sandbox.supervisor_count() == 0; });
}

TEST_CASE("without a state directory commands run all the same and are not logged") {
    Sandbox sandbox;
    sandbox.write_file("state/cancelable", "in the way");
    CHECK(sandbox.run({"run", "true"}).status == 0);
    const Finished logged = sandbox.run({"run", "--detach", "sleep", "1000"});
    CHECK((logged.status == 0 || logged.err != ""));
}

TEST_CASE("a shim that is missing is named") {
    Sandbox sandbox;
    sandbox.set_environment("CANCELABLE_SHIM", sandbox.path("no-such-shim"));
    const Finished finished = sandbox.run({"run", "true"});
    CHECK(finished.status == 125);
    CHECK_MESSAGE(finished.err.find("no-such-shim") != std::string::npos, finished.err);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
