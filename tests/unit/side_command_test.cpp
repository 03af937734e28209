#include "engine/side_command.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "engine/process/proc.h"
#include "engine/sources/command_source.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

std::vector<pid_t> children() {
    std::vector<pid_t> found;
    append_children(::getpid(), 2, found);
    return found;
}

// A pipe by name, which a command holds open for writing: its end of file is the end of all who did.
class Held {
public:
    explicit Held(const std::string& path) : path_(path) {
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        fd_.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    }
    const std::string& path() const { return path_; }

    // Until something was written: the next line, for what is written in one go. Empty at the end of file.
    std::string wait() {
        char buffer[256];
        for (;;) {
            pollfd entry{fd_.get(), POLLIN, 0};
            REQUIRE(::poll(&entry, 1, 60'000) > 0);
            const ssize_t got = ::read(fd_.get(), buffer, sizeof buffer);
            if (got >= 0) return {buffer, static_cast<std::size_t>(got)};
        }
    }

private:
    std::string path_;
    UniqueFd fd_;
};

struct World {
    World() {
        // As a supervisor is: what a killed shim leaves falls to it.
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        char name[] = "/tmp/cancelable-unit-XXXXXX";
        directory = ::mkdtemp(name);
        auto made = ShimLauncher::create(CANCELABLE_SHIM, -1);
        REQUIRE(made);
        launcher.emplace(std::move(*made));
        commands.emplace(loop, *launcher, strays, "/run/socket");
    }
    ~World() {
        commands.reset();
        CHECK(children().empty());
        ::prctl(PR_SET_CHILD_SUBREAPER, 0);
        std::filesystem::remove_all(directory);
    }

    static SideRequest shell(const std::string& script) {
        SideRequest request;
        request.command = {"/bin/sh", "-c", script};
        request.name = "test";
        request.environment = {"PATH=/usr/bin:/bin"};
        request.time_limit = 60s;
        return request;
    }

    SideOutcome outcome_of(SideRequest request) {
        std::optional<SideOutcome> outcome;
        const auto handle =
            commands->start(std::move(request), [&](SideOutcome told) { outcome = std::move(told); });
        CHECK_FALSE(outcome);
        CHECK(commands->running() == 1);
        while (!outcome)
            loop.run_once(true);
        CHECK(commands->running() == 0);
        return *outcome;
    }

    std::string path(const std::string& name) const { return directory + "/" + name; }

    std::string directory;
    Loop loop;
    std::optional<ShimLauncher> launcher;
    std::optional<SideCommands> commands;
    Strays strays{loop, [this](pid_t pid) { return commands->owns(pid); }};
};

TEST_CASE("a side command tells how it ended") {
    World world;
    CHECK(world.outcome_of(World::shell("exit 0")).succeeded());
    const SideOutcome failed = world.outcome_of(World::shell("exit 3"));
    CHECK_FALSE(failed.succeeded());
    CHECK(failed.exit == Exit{false, 3});
    CHECK(failed.clause(1s) == "exited with 3");
    CHECK(world.outcome_of(World::shell("kill -9 $$")).exit == Exit{true, SIGKILL});
}

TEST_CASE("a side command that cannot be started says why") {
    World world;
    SideRequest request = World::shell("");
    request.command = {"/nowhere/at/all"};
    SideOutcome outcome = world.outcome_of(request);
    CHECK(outcome.kind == SideOutcome::Kind::not_started);
    CHECK(outcome.error.find("/nowhere/at/all") != std::string::npos);

    request = World::shell("exit 0");
    request.cwd = "/no/such/directory";
    outcome = world.outcome_of(request);
    CHECK(outcome.kind == SideOutcome::Kind::not_started);
    CHECK(outcome.error.find("/no/such/directory") != std::string::npos);

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit few = before;
    few.rlim_cur = 3;
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::optional<SideOutcome> told;
    const auto handle = world.commands->start(
        World::shell("exit 0"), [&](SideOutcome outcome_now) { told = std::move(outcome_now); });
    ::setrlimit(RLIMIT_NOFILE, &before);
    while (!told)
        world.loop.run_once(true);
    CHECK(told->kind == SideOutcome::Kind::not_started);
}

TEST_CASE("a side command runs where it was told and is part of no operation") {
    World world;
    SideRequest request =
        World::shell("echo $PWD $CANCELABLE_SOCKET ${CANCELABLE_OPERATION_ID-none} $CANCELABLE_SIDE_COMMAND");
    request.environment.emplace_back("CANCELABLE_OPERATION_ID=7");
    request.cwd = "/usr";
    request.capture = 100;
    CHECK(world.outcome_of(request).output == "/usr /run/socket none 1\n");
}

TEST_CASE("a side command that floods its output is neither kept waiting nor remembered") {
    World world;
    SideRequest request = World::shell("head -c 1000000 /dev/zero | tr '\\0' x; echo >&2; exit 4");
    request.capture = 100;
    const SideOutcome outcome = world.outcome_of(request);
    CHECK(outcome.exit == Exit{false, 4});
    CHECK(outcome.output == std::string(100, 'x'));
    CHECK(outcome.output_was_cut);
}

TEST_CASE("a side command is over when all that it started is gone") {
    World world;
    Held held(world.path("held"));
    const std::string background = "(exec >" + held.path() + "; echo up; setsid sleep 1000) & while [ ! -e " +
                                   world.path("go") + " ]; do sleep 0.01; done";
    SUBCASE("because it left something behind") {
        std::optional<SideOutcome> outcome;
        const auto handle = world.commands->start(World::shell(background),
                                                  [&](SideOutcome told) { outcome = std::move(told); });
        CHECK(held.wait() == "up\n");
        CHECK(::mkdir(world.path("go").c_str(), 0700) == 0);
        while (!outcome)
            world.loop.run_once(true);
        CHECK(outcome->succeeded());
    }
    SUBCASE("because its time was over") {
        SideRequest request = World::shell("trap '' TERM; " + background);
        request.time_limit = 200ms;
        request.grace = 20ms;
        const SideOutcome outcome = world.outcome_of(request);
        CHECK(outcome.kind == SideOutcome::Kind::timed_out);
        CHECK(outcome.clause(200ms) == "took longer than 200ms");
        held.wait();
    }
    CHECK(held.wait().empty());
}

TEST_CASE("letting go of a side command ends it and nobody is called back") {
    World world;
    Held held(world.path("held"));
    bool called = false;
    {
        const auto handle = world.commands->start(
            World::shell("trap '' TERM; exec >" + held.path() + "; echo up; sleep 1000"),
            [&](const SideOutcome&) { called = true; });
        CHECK(held.wait() == "up\n");
        CHECK(children().size() == 1);
    }
    while (!children().empty())
        world.loop.run_once(true);
    CHECK(held.wait().empty());
    CHECK_FALSE(called);
}

TEST_CASE("side commands end with who runs them") {
    std::optional<World> world(std::in_place);
    Held held(world->path("held"));
    const std::string script = "trap '' TERM; exec >" + held.path() + "; echo up; sleep 1000";
    SUBCASE("when it leaves") {
        auto handle = world->commands->start(World::shell(script), [](const SideOutcome&) {});
        CHECK(held.wait() == "up\n");
        world->commands.reset();
        CHECK(children().empty());
        CHECK(held.wait().empty());
        world->commands.emplace(world->loop, *world->launcher, world->strays, "");
    }
    SUBCASE("when it is killed") {
        const pid_t pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            SideRequest request = World::shell(script);
            request.grace = 20ms;
            const auto handle = world->commands->start(request, [](const SideOutcome&) {});
            for (;;)
                ::pause();
        }
        CHECK(held.wait() == "up\n");
        ::kill(pid, SIGKILL);
        CHECK(::waitpid(pid, nullptr, 0) == pid);
        CHECK(held.wait().empty());
        while (::waitpid(-1, nullptr, 0) > 0) {
        }
    }
}

TEST_CASE("a side command whose shim is killed leaves nothing and says so") {
    World world;
    Held held(world.path("held"));
    std::optional<SideOutcome> outcome;
    const auto other = world.commands->start(World::shell("sleep 1000"), [](const SideOutcome&) {});
    const std::vector<pid_t> before = children();
    const auto handle =
        world.commands->start(World::shell("exec >" + held.path() + "; echo up; setsid sleep 1000"),
                              [&](SideOutcome told) { outcome = std::move(told); });
    CHECK(held.wait() == "up\n");
    for (const pid_t shim : children())
        if (shim != before.at(0)) ::kill(shim, SIGKILL);  // a child that is not reaped: its number is its own
    while (!outcome)
        world.loop.run_once(true);
    CHECK(outcome->kind == SideOutcome::Kind::stopped);
    CHECK(held.wait().empty());
    CHECK(children() == before);  // others are left alone
}

TEST_CASE("of many conditions a few are checked at a time and each has its turn") {
    World world;
    ConditionRoom room(*world.commands, {});
    std::vector<SourcePtr> sources;
    std::vector<bool> held(20);
    std::size_t most = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
        sources.push_back(command_source(
            world.loop, room,
            {.command = "exit 0", .every = 60s, .environment = {}, .cwd = "/", .whose = "test"}));
        sources.back()->start(
            [&held, i](const std::optional<Firing>& firing) { held[i] = firing.has_value(); });
        most = std::max(most, world.commands->running());
    }
    // One that waits is let go of, and so is one that runs.
    sources[15].reset();
    sources[0].reset();
    while (std::ranges::count(held, true) < 18) {
        world.loop.run_once(true);
        most = std::max(most, world.commands->running());
    }
    CHECK(most == 8);
    CHECK_FALSE(held[15]);
    CHECK_FALSE(held[0]);
}

TEST_CASE("a condition that cannot be checked does not hold and says so once") {
    World world;
    std::vector<std::string> told;
    ConditionRoom room(*world.commands, [&](const std::string& sentence) { told.push_back(sentence); });
    const auto source = command_source(
        world.loop, room,
        {.command = "no-such-program", .every = 1ms, .environment = {}, .cwd = "/", .whose = "it"});
    bool held = false;
    source->start([&](const std::optional<Firing>&) { held = true; });
    const auto other = command_source(
        world.loop, room,
        {.command = "exit 0", .every = 60s, .environment = {}, .cwd = "/nowhere", .whose = "other"});
    other->start([&](const std::optional<Firing>&) { held = true; });
    // Checked again and again meanwhile.
    int checks = 0;
    while (told.size() < 2 || checks < 20) {
        world.loop.run_once(true);
        ++checks;
    }
    CHECK(told.size() == 2);
    std::ranges::sort(told);
    CHECK(told[0].starts_with("it: the condition 'no-such-program' exited with 127 ("));
    CHECK(
        told[1].starts_with("other: the condition 'exit 0' could not be started: cannot open \"/nowhere\""));
    CHECK_FALSE(held);
}

}  // namespace
}  // namespace cancelable
