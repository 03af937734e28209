// The command has the caller's descriptors themselves: whatever they are, and without a byte copied.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "tests/e2e/sandbox.h"
#include "tests/fixtures/byte_stream.h"

namespace cancelable::e2e {
namespace {

Json report_in(const std::string& path) {
    std::ifstream file(path);
    return Json::parse(file);
}

}  // namespace

TEST_SUITE_BEGIN("stdio");

TEST_CASE("stdin may be a pipe") {
    Sandbox sandbox;
    auto pipe = make_pipe();
    REQUIRE(pipe.has_value());
    SpawnOptions how = sandbox.options();
    how.stdio[0] = pipe->read_end.get();
    Child client = sandbox.start({"run", "cat"}, how);
    pipe->read_end.reset();
    const std::string text = "through a pipe\n";
    REQUIRE(write_all(pipe->write_end.get(), std::as_bytes(std::span(text))).has_value());
    CHECK(client.wait_for_output("through a pipe\n") == text);
    pipe->write_end.reset();
    const Finished finished = client.wait();
    CHECK(finished.status == 0);
    CHECK(finished.out == text);
}

TEST_CASE("stdin may be a file and is read from where the caller stood") {
    Sandbox sandbox;
    const std::string path = sandbox.write_file("input", "first line\nsecond line\n");
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::lseek(file.get(), 11, SEEK_SET);
    SpawnOptions how = sandbox.options();
    how.stdio[0] = file.get();
    const Finished finished = sandbox.run({"run", "cat"}, how);
    CHECK(finished.status == 0);
    CHECK(finished.out == "second line\n");
    // One open file, not two: what the command has read, the caller has.
    CHECK(::lseek(file.get(), 0, SEEK_CUR) == 23);
}

TEST_CASE("stdin may be /dev/null") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"run", "cat"});
    CHECK(finished.status == 0);
    CHECK(finished.out == "");
}

TEST_CASE("stdout and stderr stay apart and may be one file") {
    Sandbox sandbox;
    const Finished apart = sandbox.run({"run", "sh", "-c", "echo out; echo err >&2"});
    CHECK(apart.out == "out\n");
    CHECK(apart.err == "err\n");

    const std::string path = sandbox.write_file("both", "");
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    SpawnOptions how = sandbox.options();
    how.stdio[1] = how.stdio[2] = file.get();
    CHECK(sandbox.run({"run", "sh", "-c", "echo out; echo err >&2; echo again"}, how).status == 0);
    std::ifstream written(path);
    CHECK(std::string{std::istreambuf_iterator<char>(written), {}} == "out\nerr\nagain\n");
}

TEST_CASE("closed stdio stays closed for the command") {
    Sandbox sandbox;
    for (const std::vector<int>& closed : {std::vector<int>{0}, {1}, {2}, {0, 1}, {0, 1, 2}}) {
        const std::string path = sandbox.path("report");
        SpawnOptions how = sandbox.options();
        for (const int fd : closed)
            how.stdio[static_cast<std::size_t>(fd)] = SpawnOptions::kClosed;
        CHECK(sandbox.run({"run", "--", Sandbox::fixture("reports"), path}, how).status == 0);
        std::vector<int> expected{0, 1, 2};
        for (const int fd : closed)
            std::erase(expected, fd);
        CHECK(report_in(path).at("descriptors") == Json(expected));
        ::unlink(path.c_str());
    }
}

TEST_CASE("verbs work with closed stdio") {
    Sandbox sandbox;
    SpawnOptions how = sandbox.options();
    how.stdio = {SpawnOptions::kClosed, SpawnOptions::kClosed, SpawnOptions::kClosed};
    CHECK(sandbox.run({"run", "--detach", "-n", "quiet", "sleep", "1000"}, how).status == 0);
    CHECK(sandbox.run({"cancel", "quiet"}, how).status == 0);
    CHECK(sandbox.strangers().empty());
}

TEST_CASE("arguments of one MiB arrive complete") {
    Sandbox sandbox;
    // A single argument may have 128 KiB at most: so there are many.
    Words arguments{"run", "--", Sandbox::fixture("reports"), "-"};
    std::uint64_t hash = 0xcbf29ce484222325;
    std::size_t bytes = 0;
    for (int i = 0; i < 1024; ++i) {
        std::string argument(1023, static_cast<char>('!' + i % 90));
        for (const char* at = argument.c_str();; ++at) {
            hash = (hash ^ static_cast<unsigned char>(*at)) * 0x100000001b3;
            ++bytes;
            if (*at == '\0') break;
        }
        arguments.push_back(std::move(argument));
    }
    REQUIRE(bytes == 1024 * 1024);
    const Finished finished = sandbox.run(arguments);
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    const Json report = Json::parse(finished.out);
    CHECK(report.at("argument_count") == 1024);
    CHECK(report.at("argument_bytes") == bytes);
    CHECK(report.at("argument_hash") == hash);
}

TEST_CASE("arguments that are no UTF-8 arrive as they are") {
    Sandbox sandbox;
    const std::string bytes = "a\xff\xfe\x80 \xc3\xa9 \n\t\x01z";
    const Finished finished = sandbox.run({"run", "printf", "%s", bytes});
    CHECK(finished.status == 0);
    CHECK(finished.out == bytes);
    const Finished empty = sandbox.run({"run", "printf", "[%s]", "", "x", ""});
    CHECK(empty.out == "[][x][]");
}

TEST_CASE("a working directory that was deleted is the command's as well") {
    Sandbox sandbox;
    const std::string path = sandbox.make_directory("doomed");
    SpawnOptions how = sandbox.options();
    how.cwd = path;
    how.in_child = [path] { ::rmdir(path.c_str()); };
    const Finished finished = sandbox.run({"run", "--", Sandbox::fixture("reports"), "-"}, how);
    REQUIRE_MESSAGE(finished.status == 0, finished.err);
    CHECK(Json::parse(finished.out).at("cwd") == nullptr);
}

TEST_CASE("a gigabyte comes through a pipe byte for byte") {
    Sandbox sandbox;
    const char* wanted = std::getenv("CANCELABLE_TEST_STREAM_BYTES");
    const std::size_t total = wanted == nullptr ? std::size_t{1} << 28 : std::strtoull(wanted, nullptr, 10);
    auto pipe = make_pipe();
    REQUIRE(pipe.has_value());
    SpawnOptions how = sandbox.options();
    how.stdio[1] = pipe->write_end.get();
    Child client = sandbox.start({"run", "--", Sandbox::fixture("streams"), std::to_string(total)}, how);
    pipe->write_end.reset();

    constexpr std::size_t kBlock = 65536;
    const auto expected = std::make_unique<std::byte[]>(kBlock);
    const auto received = std::make_unique<std::byte[]>(kBlock);
    fixture::ByteStream stream;
    std::size_t good = 0;
    std::size_t filled = 0;
    while (true) {
        const ssize_t got = ::read(pipe->read_end.get(), received.get() + filled, kBlock - filled);
        if (got <= 0) break;
        filled += static_cast<std::size_t>(got);
        if (filled < kBlock) continue;
        stream.fill({expected.get(), kBlock});
        if (!std::equal(expected.get(), expected.get() + kBlock, received.get())) break;
        good += kBlock;
        filled = 0;
    }
    CHECK(good == total);
    CHECK(filled == 0);
    CHECK(client.wait().status == 0);
}

TEST_CASE("run yes into head ends at once") {
    Sandbox sandbox;
    auto pipe = make_pipe();
    REQUIRE(pipe.has_value());
    SpawnOptions how = sandbox.options();
    how.stdio[1] = pipe->write_end.get();
    Child client = sandbox.start({"run", "yes"}, how);
    pipe->write_end.reset();
    char bytes[2];
    REQUIRE(::read(pipe->read_end.get(), bytes, 2) == 2);
    pipe->read_end.reset();
    // Nobody else holds the pipe's reading end, so the next write ends `yes`.
    CHECK(client.wait().status == 141);
    CHECK(sandbox.strangers().empty());
}

TEST_CASE("a shell pipeline with yes and head ends at once") {
    Sandbox sandbox;
    const Finished finished =
        Child::spawn({"/bin/sh", "-c", Sandbox::program() + " run -- yes | head -1"}, sandbox.options())
            .wait_for_end_of_file();
    CHECK(finished.status == 0);
    CHECK(finished.out == "y\n");
    wait_until("yes to be gone", [&] { return sandbox.strangers().empty(); });
}

TEST_CASE("nobody but the command holds its output open") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    // The command closes its own output and stays: the reader must see the end of the file while it runs.
    Child client = sandbox.start({"run", "--", Sandbox::fixture("daemonizes"), up.path()});
    up.wait_for_line();
    auto pipe = make_pipe();
    SpawnOptions how = sandbox.options();
    how.stdio[1] = pipe->write_end.get();
    Fifo closer_up = sandbox.fifo();
    Child closer = sandbox.start(
        {"run", "sh", "-c", "exec >&-; echo up >" + closer_up.path() + "; exec sleep 1000"}, how);
    pipe->write_end.reset();
    closer_up.wait_for_line();
    // The client itself still has it, as it would in a shell's pipeline: until that client is gone.
    closer.signal(SIGKILL);
    char byte;
    CHECK(wait_readable(pipe->read_end.get(), Deadline()));
    CHECK(::read(pipe->read_end.get(), &byte, 1) == 0);
}

TEST_CASE("the supervisor that a run starts does not hold the caller's pipe") {
    Sandbox sandbox;
    REQUIRE_FALSE(sandbox.supervisor().has_value());
    const Finished finished = sandbox.start({"run", "echo", "done"}).wait_for_end_of_file();
    CHECK(finished.out == "done\n");
    const Finished detached = sandbox.start({"run", "--detach", "sleep", "1000"}).wait_for_end_of_file();
    CHECK(detached.status == 0);
    CHECK(sandbox.supervisor().has_value());
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
