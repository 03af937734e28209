// Sources with times and numbers that are made up.
#include "engine/sources/source.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "engine/sources/blocking_calls.h"
#include "engine/sources/disk_source.h"
#include "engine/sources/file_source.h"
#include "engine/sources/idle_source.h"
#include "engine/sources/parse.h"
#include "engine/sources/sampler.h"
#include "engine/sources/threshold.h"
#include "engine/sources/timer_source.h"
#include "engine/sources/tree_pass.h"
#include "engine/sources/usage_source.h"
#include "engine/sources/wording.h"
#include "tests/unit/folder.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using Clock = Sampling::Clock;

// A level that the test sets.
class Level final : public CancelationSource {
public:
    void start(Listener listener) override { listener_ = std::move(listener); }
    void on(const std::string& message) {
        const Listener listener = listener_;
        listener(Firing{CancelationReason::idle, message});
    }
    void off() {
        const Listener listener = listener_;
        listener(std::nullopt);
    }

private:
    Listener listener_;
};

struct Two {
    Level* a;
    Level* b;
    std::vector<SourcePtr> members;
};

Two two() {
    auto a = std::make_unique<Level>();
    auto b = std::make_unique<Level>();
    Two made{a.get(), b.get(), {}};
    made.members.push_back(std::move(a));
    made.members.push_back(std::move(b));
    return made;
}

class FakeSampling final : public Sampling {
public:
    Subscription of_tree(pid_t, OnTree callback) override {
        tree = std::move(callback);
        return std::make_shared<int>(0);
    }
    Subscription of_host(OnHost callback) override {
        host = std::move(callback);
        return std::make_shared<int>(0);
    }
    OnTree tree;
    OnHost host;
};

SourceExpression expression(const std::string& text) {
    auto source = parse_source(text);
    REQUIRE(source);
    return std::move(*source);
}

const Clock::time_point kStart = Clock::now() + 1000h;  // after every source here was started

std::string message_of(const CancelationToken& token) {
    REQUIRE(token.is_cancelled());
    return token.message();
}

void run_until(Loop& loop, const std::function<bool()>& holds) {
    while (!holds())
        loop.run_once(true);
}

}  // namespace

TEST_CASE("any of several sources is enough and the first one is told of") {
    Two made = two();
    CancelationToken token;
    const SourceAttachment attachment(token, any_of(std::move(made.members)));
    made.b->on("b holds");
    made.a->on("a holds");
    CHECK(message_of(token) == "b holds");
    CHECK(token.reason() == CancelationReason::idle);
}

TEST_CASE("all of several sources have to hold at the same time") {
    Two made = two();
    CancelationToken token;
    const SourceAttachment attachment(token, all_of(std::move(made.members)));
    made.a->on("a holds");
    made.a->off();
    made.b->on("b holds");
    CHECK_FALSE(token.is_cancelled());
    made.a->on("a holds again");
    CHECK(message_of(token) == "a holds again, and b holds");
    CHECK(token.reason() == CancelationReason::condition);
}

TEST_CASE("within all an edge that has come stays") {
    auto edge = std::make_unique<LatchSource>();
    auto level = std::make_unique<Level>();
    LatchSource& latch = *edge;
    Level& later = *level;
    std::vector<SourcePtr> members;
    members.push_back(std::move(edge));
    members.push_back(std::move(level));
    CancelationToken token;
    latch.set({CancelationReason::signal, "it came"});  // also before it was started
    const SourceAttachment attachment(token, all_of(std::move(members)));
    later.on("now");
    later.off();
    CHECK(message_of(token) == "it came, and now");
}

TEST_CASE("compositions within compositions pass on that they do not hold any more") {
    Two inner = two();
    auto outer = std::make_unique<Level>();
    Level& other = *outer;
    std::vector<SourcePtr> members;
    members.push_back(any_of(std::move(inner.members)));
    members.push_back(std::move(outer));
    CancelationToken token;
    const SourceAttachment attachment(token, all_of(std::move(members)));
    inner.a->on("a");
    inner.b->on("b");
    inner.a->off();
    inner.b->off();
    other.on("other");
    CHECK_FALSE(token.is_cancelled());
    inner.b->on("b again");
    CHECK(message_of(token) == "b again, and other");
}

TEST_CASE("a detached source cancels nothing") {
    Two made = two();
    Level& a = *made.a;
    CancelationToken token;
    {
        const SourceAttachment attachment(token, std::move(made.members[0]));
        a.off();
    }
    CHECK_FALSE(token.is_cancelled());
}

TEST_CASE("a threshold is passed after so long without a break") {
    Threshold threshold(10, false, 5s);
    CHECK_FALSE(threshold.update(kStart, 11));
    CHECK_FALSE(threshold.update(kStart + 4s, 11));
    CHECK_FALSE(threshold.update(kStart + 5s, 10));  // at the bound is not beyond it
    CHECK_FALSE(threshold.update(kStart + 6s, 11));
    CHECK_FALSE(threshold.update(kStart + 10s, 12));
    CHECK(threshold.update(kStart + 11s, 12));
    Threshold at_once(10, true, 0ms);
    CHECK_FALSE(at_once.update(kStart, 10));
    CHECK(at_once.update(kStart, 9));
}

TEST_CASE("memory over a bound for some time is told with its numbers") {
    FakeSampling sampling;
    CancelationToken token;
    const SourceAttachment attachment(token, tree_usage_source(sampling, 1, expression("rss:2G,for=5s")));
    const std::uint64_t much = (2ULL << 30) + (1ULL << 30) / 10;
    sampling.tree(kStart, {.rss_bytes = much, .processes = 1});
    sampling.tree(kStart + 4s, {.rss_bytes = much, .processes = 1});
    sampling.tree(kStart + 5s, {.rss_bytes = 2ULL << 30, .processes = 1});
    sampling.tree(kStart + 6s, {.rss_bytes = much, .processes = 1});
    CHECK_FALSE(token.is_cancelled());
    sampling.tree(kStart + 11s, {.rss_bytes = much, .processes = 1});
    CHECK(message_of(token) == "memory 2.1 GiB over 2 GiB for 5 s");
    CHECK(token.reason() == CancelationReason::resource);
}

TEST_CASE("a look that was begun before a source is none at its operation") {
    FakeSampling sampling;
    CancelationToken token;
    const Clock::time_point before = Clock::now();
    const SourceAttachment attachment(token, tree_usage_source(sampling, 1, expression("processes:10")));
    sampling.tree(before, {.processes = 11});
    CHECK_FALSE(token.is_cancelled());
    sampling.tree(kStart, {.processes = 11});
    CHECK(token.is_cancelled());
}

TEST_CASE("the use of processors is that between two looks") {
    FakeSampling sampling;
    CancelationToken busy;
    CancelationToken lazy;
    {
        const SourceAttachment attachment(busy, tree_usage_source(sampling, 1, expression("cpu:150,for=2s")));
        sampling.tree(kStart, {.cpu = 1000s});  // says nothing yet
        sampling.tree(kStart + 1s, {.cpu = 1002s});
        sampling.tree(kStart + 2s, {.cpu = 1003s});  // 100 %
        sampling.tree(kStart + 3s, {.cpu = 1005s});
        CHECK_FALSE(busy.is_cancelled());
        sampling.tree(kStart + 5s, {.cpu = 1009s});
        CHECK(message_of(busy) == "processor 200 % over 150 % for 2 s");
    }
    const SourceAttachment attachment(lazy, tree_usage_source(sampling, 1, expression("cpu:<5,for=2s")));
    sampling.tree(kStart, {.cpu = 10s});
    sampling.tree(kStart + 1s, {.cpu = 9s});  // something died and took its time along
    sampling.tree(kStart + 3s, {.cpu = 9s});
    CHECK(message_of(lazy) == "processor 0 % under 5 % for 2 s");
}

TEST_CASE("processes and the machine are told of in their words") {
    FakeSampling sampling;
    CancelationToken many;
    const SourceAttachment a(many, tree_usage_source(sampling, 1, expression("processes:10")));
    sampling.tree(kStart, {.processes = 10});
    CHECK_FALSE(many.is_cancelled());
    sampling.tree(kStart, {.processes = 11});
    CHECK(message_of(many) == "processes 11 over 10");

    CancelationToken memory;
    const SourceAttachment b(memory, host_usage_source(sampling, expression("host-memory:95")));
    sampling.host(kStart, {.memory_percent = 96.25, .load = 99});
    CHECK(message_of(memory) == "the machine's memory 96.2 % over 95 %");

    CancelationToken load;
    const SourceAttachment c(load, host_usage_source(sampling, expression("host-load:8")));
    sampling.host(kStart, {.memory_percent = 99, .load = 8});
    CHECK_FALSE(load.is_cancelled());
    sampling.host(kStart, {.memory_percent = 0, .load = 8.5});
    CHECK(message_of(load) == "the machine's load 8.5 over 8");
}

TEST_CASE("what is below a shim is summed up and what is beside it is not") {
    // 10 is a shim with 11 and 12 below 11; 20 one within that tree; 30 one with nothing; 99 somebody else.
    const std::vector<ProcessUsage> processes{{.pid = 12, .parent = 11, .rss_pages = 2, .cpu_ticks = 100},
                                              {.pid = 99, .parent = 1, .rss_pages = 9},
                                              {.pid = 11, .parent = 10, .rss_pages = 1, .cpu_ticks = 100},
                                              {.pid = 10, .parent = 1, .rss_pages = 5, .cpu_ticks = 100},
                                              {.pid = 13, .parent = 11, .is_corpse = true},
                                              {.pid = 20, .parent = 12, .rss_pages = 5},
                                              {.pid = 21, .parent = 20, .rss_pages = 7},
                                              {.pid = 30, .parent = 1},
                                              {.pid = 41, .parent = 42, .rss_pages = 1},
                                              {.pid = 42, .parent = 41, .rss_pages = 1}};
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    const auto trees = sum_up(processes, {10, 20, 30, 77});
    CHECK(trees.at(20).rss_bytes == 7 * page);
    CHECK(trees.at(20).processes == 1);
    CHECK(trees.at(10).processes == 3);  // 11, 12, 20
    CHECK(trees.at(10).rss_bytes == 8 * page);
    CHECK(trees.at(10).cpu == std::chrono::microseconds(3 * 100 * 1'000'000 / ::sysconf(_SC_CLK_TCK)));
    CHECK(trees.at(30) == TreeUsage{});
    CHECK(trees.at(77) == TreeUsage{});
}

TEST_CASE("a look at this machine finds this process and numbers that can be") {
    bool found = false;
    for (const ProcessUsage& process : look_at_processes()) {
        if (process.pid != ::getpid()) continue;
        found = true;
        CHECK(process.parent == ::getppid());
        CHECK(process.rss_pages > 0);
    }
    CHECK(found);
    const HostUsage host = look_at_host();
    CHECK(host.memory_percent > 0);
    CHECK(host.memory_percent < 100);
    CHECK(host.load >= 0);
}

TEST_CASE("nobody who asks for samples is forgotten and who lets go is left alone") {
    Loop loop;
    BlockingCalls calls(loop);
    Sampler sampler(loop, calls);
    int first = 0;
    int host = 0;
    Sampling::Subscription a =
        sampler.of_tree(::getpid(), [&](Clock::time_point, const TreeUsage&) { ++first; });
    const Sampling::Subscription b = sampler.of_host([&](Clock::time_point, const HostUsage&) { ++host; });
    run_until(loop, [&] { return first > 0 && host > 0; });
    a.reset();
    const int before = first;
    const int until = host + 1;
    run_until(loop, [&] { return host >= until; });
    CHECK(first == before);
}

TEST_CASE("silence is counted from the last writing and never guessed") {
    const auto wall = [](Clock::time_point at) {
        return WallTime(std::chrono::duration_cast<std::chrono::microseconds>(at.time_since_epoch()) +
                        1'000'000s);
    };
    const auto written = [&](Clock::time_point at, std::int64_t size) {
        return FileState{wall(at) - 10ms, size};
    };
    Silence silence;
    CHECK(silence.look(written(kStart - 3s, 0), kStart, wall(kStart)) == 3s);
    CHECK(silence.look(written(kStart - 3s, 0), kStart + 7s, wall(kStart + 7s)) == 10s);
    SUBCASE("it begins anew with what was written") {
        CHECK(silence.look(written(kStart + 8s, 5), kStart + 12s, wall(kStart + 12s)) == 4s);
    }
    SUBCASE("a file's time from before the last look is not believed") {
        CHECK(silence.look(written(kStart - 99s, 5), kStart + 12s, wall(kStart + 12s)) == 5s);
    }
    SUBCASE("a wall clock that was set meanwhile is not believed") {
        CHECK(silence.look(written(kStart + 11s, 5), kStart + 12s, wall(kStart + 12s) + 1h) == 0s);
        CHECK(silence.look(written(kStart + 11s, 5), kStart + 15s, wall(kStart + 15s) + 1h) == 3s);
    }
    SUBCASE("a wall clock that was set changes nothing where nothing was written") {
        CHECK(silence.look(written(kStart - 3s, 0), kStart + 8s, wall(kStart + 8s) - 2h) == 11s);
    }
    SUBCASE("a file that is gone counts as written to") {
        CHECK(silence.look(std::nullopt, kStart + 20s, wall(kStart + 20s)) == 0s);
    }
}

TEST_CASE("a log that is written to is not idle and one that is not is") {
    const Folder folder;
    const std::string log = folder.name + "/log";
    std::ofstream(log) << "begin\n";
    Loop loop;
    BlockingCalls calls(loop);
    SourcePtr source = idle_source(loop, calls, log, 150ms);
    bool holds = false;
    int changes = 0;
    std::string message;
    source->start([&](const std::optional<Firing>& firing) {
        holds = firing.has_value();
        if (firing) message = firing->message;
        ++changes;
    });
    run_until(loop, [&] { return holds; });
    CHECK(message == "no output for 150 ms");
    // Again and again: on a slow machine one line might be long ago when it is looked at.
    std::ofstream more(log, std::ios::app);
    while (holds) {
        more << "more" << std::endl;
        loop.run_once(true);
    }
    CHECK(changes == 2);
    run_until(loop, [&] { return holds; });
}

TEST_CASE("times come, also those that are over") {
    Loop loop;
    CancelationToken token;
    SUBCASE("so long after the start") {
        const SourceAttachment attachment(token, timeout_source(loop, 5ms, 90s));
        run_until(loop, [&] { return token.is_cancelled(); });
        CHECK(token.message() == "it ran for 90 s");
    }
    SUBCASE("at a point of the wall clock") {
        const WallTime at = wall_now() + 20ms;
        const SourceAttachment attachment(token, deadline_source(loop, at));
        run_until(loop, [&] { return token.is_cancelled(); });
        CHECK(wall_now() >= at);
    }
    SUBCASE("in the past") {
        const SourceAttachment attachment(token, deadline_source(loop, WallTime{}));
        run_until(loop, [&] { return token.is_cancelled(); });
        CHECK(token.message() == "its deadline, 1970-01-01T00:00:00Z, has come");
    }
    CHECK(token.reason() == CancelationReason::timeout);
}

TEST_CASE("a file is noticed in a directory that is still to be made") {
    const Folder folder;
    Loop loop;
    BlockingCalls calls(loop);
    DirectoryWatches directories(loop);
    CancelationToken token;
    CancelationToken other;
    const SourceAttachment attachment(token,
                                      file_source(loop, calls, directories, folder.name + "/a/b/stop"));
    const SourceAttachment beside(other, file_source(loop, calls, directories, folder.name + "/a/b/never"));
    for (int i = 0; i < 20; ++i)
        loop.run_once(false);
    std::filesystem::create_directory(folder.name + "/a");
    loop.run_once(true);
    std::ofstream(folder.name + "/stop") << "not this one";
    std::filesystem::create_directory(folder.name + "/c");
    std::filesystem::rename(folder.name + "/c", folder.name + "/a/b");
    std::ofstream(folder.name + "/a/b/stopped") << "nor this one";
    std::ofstream(folder.name + "/a/b/stop") << "";
    run_until(loop, [&] { return token.is_cancelled(); });
    CHECK(token.message() == "file " + folder.name + "/a/b/stop is there");
    CHECK(token.reason() == CancelationReason::condition);
    CHECK_FALSE(other.is_cancelled());
}

TEST_CASE("a file that is there already and a dangling link are noticed") {
    const Folder folder;
    Loop loop;
    BlockingCalls calls(loop);
    DirectoryWatches directories(loop);
    CancelationToken token;
    std::filesystem::create_symlink("/nowhere", folder.name + "/link");
    const SourceAttachment attachment(token, file_source(loop, calls, directories, folder.name + "/link"));
    run_until(loop, [&] { return token.is_cancelled(); });
}

TEST_CASE("a file is noticed after its directory was moved away and made anew") {
    const Folder folder;
    Loop loop;
    BlockingCalls calls(loop);
    DirectoryWatches directories(loop);
    CancelationToken token;
    std::filesystem::create_directory(folder.name + "/d");
    const SourceAttachment attachment(token, file_source(loop, calls, directories, folder.name + "/d/stop"));
    for (int i = 0; i < 20; ++i)
        loop.run_once(false);
    std::filesystem::rename(folder.name + "/d", folder.name + "/old");
    std::ofstream(folder.name + "/old/stop") << "";
    std::filesystem::create_directory(folder.name + "/d");
    std::ofstream(folder.name + "/d/stop") << "";
    run_until(loop, [&] { return token.is_cancelled(); });
}

TEST_CASE("a disk that hangs keeps nobody else waiting") {
    // Many hang, as long as the test wants it.
    struct Gate {
        std::mutex mutex;
        std::condition_variable changed;
        bool open = false;
        int inside = 0;
    };
    const auto gate = std::make_shared<Gate>();
    const auto hanging = [gate](const std::string&) -> std::optional<double> {
        std::unique_lock lock(gate->mutex);
        ++gate->inside;
        gate->changed.wait(lock, [&] { return gate->open; });
        --gate->inside;
        gate->changed.notify_all();
        return 100;
    };
    CancelationToken stuck;
    CancelationToken full;
    {
        Loop loop;
        BlockingCalls calls(loop);
        std::vector<SourceAttachment> attachments;
        for (int i = 0; i < 8; ++i)
            attachments.emplace_back(stuck, disk_source(loop, calls, "/hangs", 90, 0ms, hanging));
        attachments.emplace_back(
            full, disk_source(loop, calls, "/full", 90, 0ms, [](const std::string&) { return 95.5; }));
        run_until(loop, [&] { return full.is_cancelled(); });
        CHECK(full.message() == "disk of /full 95.5 % over 90 %");
        CHECK(full.reason() == CancelationReason::resource);
        CHECK_FALSE(stuck.is_cancelled());
        // Nor does anyone wait for them at the end.
    }
    std::unique_lock lock(gate->mutex);
    gate->open = true;
    gate->changed.notify_all();
    gate->changed.wait(lock, [&] { return gate->inside == 0; });
    CHECK_FALSE(stuck.is_cancelled());
}

TEST_CASE("a disk below its bound and one that is not there do not hold") {
    Loop loop;
    BlockingCalls calls(loop);
    CancelationToken token;
    std::atomic<int> looks = 0;
    const SourceAttachment attachment(
        token, disk_source(loop, calls, "/x", 90, 0ms, [&](const std::string&) -> std::optional<double> {
            return ++looks == 1 ? std::optional(90.0) : std::nullopt;
        }));
    run_until(loop, [&] { return looks == 2; });
    CHECK_FALSE(token.is_cancelled());
    CHECK(disk_usage("/").value_or(-1) >= 0);
    CHECK_FALSE(disk_usage("/no/such/path"));
}

TEST_CASE("quantities are said as people say them") {
    CHECK(spoken(60s) == "60 s");
    CHECK(spoken(1500ms) == "1.5 s");
    CHECK(spoken(250ms) == "250 ms");
    CHECK(spoken_size(2ULL << 30) == "2 GiB");
    CHECK(spoken_size(1000) == "1000 bytes");
    CHECK(spoken_size((1ULL << 30) - 1) == "1 GiB");
    CHECK(spoken_number(12.34) == "12.3");
}

}  // namespace cancelable
