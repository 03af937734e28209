// How `run --batch` keeps output together.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "cli/batch/printer.h"
#include "cli/batch/spool.h"

using namespace cancelable;
using namespace cancelable::cli;

namespace {

std::string read_all(int fd) {
    std::string text;
    char buffer[65536];
    ssize_t got = 0;
    while ((got = ::read(fd, buffer, sizeof buffer)) > 0)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

void write_text(const UniqueFd& fd, std::string_view text) {
    REQUIRE(write_all(fd.get(), std::as_bytes(std::span(text))));
}

// What is printed to, and what comes out of it: a pipe for either stream.
struct World {
    SpoolPool pool{temporary_directory(), 8};
    Pipe out = *make_pipe(O_NONBLOCK);
    Pipe err = *make_pipe(O_NONBLOCK);

    Output output(const std::string& text, const std::string& error = {}, const std::string& note = {}) {
        auto spool = pool.take();
        REQUIRE(spool);
        write_text(spool->out, text);
        write_text(spool->err, error);
        return {std::move(*spool), true, note};
    }
    std::string written() { return read_all(out.read_end.get()); }
    std::string errors() { return read_all(err.read_end.get()); }
};

}  // namespace

TEST_SUITE_BEGIN("batch output");

TEST_CASE("output comes in the order in which operations end, or in that of the input") {
    for (const bool in_order : {false, true}) {
        CAPTURE(in_order);
        World world;
        Printer printer(world.pool, world.out.write_end.get(), world.err.write_end.get(), in_order);
        printer.ended(3, world.output("three\n", "e3\n", "note 3\n"));
        printer.ended(2, world.output("", ""));
        REQUIRE(printer.advance());
        CHECK(world.written() == (in_order ? "" : "three\n"));
        printer.ended(1, world.output("one\n", "e1\n"));
        REQUIRE(printer.advance());
        CHECK(printer.is_done());
        CHECK(world.written() == (in_order ? "one\nthree\n" : "one\n"));
        CHECK(world.errors() == (in_order ? "e1\ne3\nnote 3\n" : "e3\nnote 3\ne1\n"));
        CHECK(world.pool.out() == 0);
    }
}

TEST_CASE("files of operations that have nothing to say are free at once, also where others come first") {
    World world;
    Printer printer(world.pool, world.out.write_end.get(), world.err.write_end.get(), true);
    printer.ended(2, world.output(""));
    CHECK(world.pool.out() == 0);
    printer.ended(3, world.output("x"));
    CHECK(world.pool.out() == 1);
}

TEST_CASE("a printer waits for a reader, and loses and doubles nothing") {
    World world;
    Printer printer(world.pool, world.out.write_end.get(), world.err.write_end.get(), true);
    std::string large;
    for (int i = 0; large.size() < 1'000'000; ++i)
        large += std::to_string(i) + "\n";
    printer.ended(1, world.output(large, "problem\n"));
    printer.ended(2, world.output("end\n"));
    std::string seen;
    int waits = 0;
    for (;;) {
        REQUIRE(printer.advance());
        seen += world.written();
        if (printer.is_done()) break;
        ++waits;
        CHECK(printer.blocked_on() == world.out.write_end.get());
    }
    CHECK(waits > 0);
    const bool is_whole = seen == large + "end\n";
    CHECK(is_whole);
    CHECK(world.errors() == "problem\n");
}

TEST_CASE("a printer writes to files, also to those that are appended to") {
    for (const int flags : {0, O_APPEND}) {
        CAPTURE(flags);
        World world;
        UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600));
        REQUIRE(file);
        write_text(file, "before\n");
        Printer printer(world.pool, file.get(), world.err.write_end.get(), false);
        const std::string large(9'000'000, 'x');
        printer.ended(1, world.output(large + "\n"));
        while (!printer.is_done())
            REQUIRE(printer.advance());
        REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
        const bool is_whole = read_all(file.get()) == "before\n" + large + "\n";
        CHECK(is_whole);
    }
}

TEST_CASE("a printer whose reader has gone says so") {
    World world;
    const auto before = std::signal(SIGPIPE, SIG_IGN);  // as the program does
    Printer printer(world.pool, world.out.write_end.get(), world.err.write_end.get(), false);
    printer.ended(1, world.output("x"));
    world.out.read_end.reset();
    const auto advanced = printer.advance();
    std::signal(SIGPIPE, before);
    REQUIRE_FALSE(advanced);
    CHECK(advanced.error().os_errno == EPIPE);
}

TEST_CASE("a spool is empty each time that it is used, and is dropped where somebody may still have it") {
    SpoolPool pool(temporary_directory(), 1);
    auto spool = pool.take();
    REQUIRE(spool);
    CHECK_FALSE(pool.has_one());
    write_text(spool->out, "left over");
    pool.give_back(std::move(*spool));
    CHECK(pool.has_one());
    spool = pool.take();
    REQUIRE(spool);
    CHECK(::lseek(spool->out.get(), 0, SEEK_END) == 0);
    const UniqueFd others(::fcntl(spool->out.get(), F_DUPFD_CLOEXEC, 0));
    pool.drop(std::move(*spool));
    spool = pool.take();
    REQUIRE(spool);
    write_text(others, "late");
    CHECK(::lseek(spool->out.get(), 0, SEEK_END) == 0);
    CHECK_FALSE(SpoolPool("/nowhere", 1).take());
}

TEST_SUITE_END();
