// The parts of `run --batch` that need no processes.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cli/batch/commands.h"
#include "cli/batch/halt.h"
#include "cli/batch/jobs.h"
#include "cli/batch/pace.h"
#include "cli/batch/report.h"
#include "cli/batch/schedule.h"
#include "cli/batch/shell_words.h"
#include "cli/batch/template.h"
#include "engine/process/fd.h"

using namespace cancelable;
using namespace cancelable::cli;
using namespace std::chrono_literals;

namespace {

using Words = std::vector<std::string>;

std::string filled(const std::string& word, const std::string& argument) {
    return Template({word}).expand({argument, 7, 2}).front();
}

// A pipe with this text in it, that is over behind it.
UniqueFd pipe_with(std::string_view text) {
    auto pipe = make_pipe();
    REQUIRE(pipe);
    REQUIRE(write_all(pipe->write_end.get(), std::as_bytes(std::span(text))));
    return std::move(pipe->read_end);
}

// All commands of an input, as "sequence: word|word".
Words jobs_of(std::string_view text, BatchForm form) {
    const UniqueFd input = pipe_with(text);
    Commands commands(input.get(), std::move(form));
    Words jobs;
    while (!commands.is_over()) {
        const auto job = commands.next(1);
        if (!job) return {job.error().sentence()};
        if (!*job) {
            REQUIRE(commands.reader().read_more());
            continue;
        }
        std::string shown = std::to_string((*job)->sequence) + ":";
        for (const std::string& word : (*job)->command)
            shown += (shown.ends_with(':') ? " " : "|") + word;
        jobs.push_back(shown);
    }
    CHECK(commands.count() == jobs.size());
    return jobs;
}

bool halts(const char* policy, Tally tally) {
    const auto halt = parse_halt(policy);
    REQUIRE(halt);
    CHECK(to_text(*halt) == policy);
    return halt->is_reached(tally);
}

}  // namespace

TEST_SUITE_BEGIN("batch");

TEST_CASE("a template is filled word by word") {
    CHECK(filled("{}", "a b/c.d.wav") == "a b/c.d.wav");
    CHECK(filled("out/{#}-{%}.png", "x") == "out/7-2.png");
    CHECK(filled("{.}", "a b/c.d.wav") == "a b/c.d");
    CHECK(filled("{/}", "a b/c.d.wav") == "c.d.wav");
    CHECK(filled("{//}", "a b/c.d.wav") == "a b");
    CHECK(filled("{/.}", "a b/c.d.wav") == "c.d");
    CHECK(filled("<{}{}>", "{#}") == "<{#}{#}>");
    CHECK(filled("{x} {} }{", "y") == "{x} y }{");
    CHECK(Template({"a", "b{%}"}).takes_slot());
    CHECK_FALSE(Template({"{}{#}", "%"}).takes_slot());
}

TEST_CASE("an extension belongs to the last part of a path, and a hidden file has none") {
    CHECK(filled("{.}", "a.d/c") == "a.d/c");
    CHECK(filled("{.}", "a/.bashrc") == "a/.bashrc");
    CHECK(filled("{.}", ".x.y") == ".x");
    CHECK(filled("{.}", "a.") == "a.");
    CHECK(filled("{//}", "plain") == ".");
    CHECK(filled("{//}", "/top") == "/");
    CHECK(filled("{/}", "dir/") == "");
}

TEST_CASE("a line that needs no shell is split as a shell would") {
    CHECK(split_words("echo  one\ttwo ") == Words{"echo", "one", "two"});
    CHECK(split_words(R"(printf 'a $b' "c d" "" e\ f g"h"'i')") ==
          Words{"printf", "a $b", "c d", "", "e f", "ghi"});
    CHECK(split_words(R"(x "a\"b\\c\d")") == Words{"x", R"(a"b\c\d)"});
}

TEST_CASE("a line that only a shell can carry out is given to one") {
    for (const char* line :
         {"a | b",  "a > b",      "echo $HOME",  "echo \"$HOME\"", "ls *.c",     "A=b c",   "cd /tmp",
          "exit 3", "a; b",       "a & b",       "echo `b`",       "echo {a,b}", "~/bin/x", "if a",
          "a # b",  "echo 'open", "echo \"open", "trailing \\",    "! a",        "(a)",     "ls [ab]"}) {
        CAPTURE(line);
        CHECK_FALSE(split_words(line));
        CHECK(command_of_line(line) == Words{"/bin/sh", "-c", line});
    }
    CHECK(command_of_line("/bin/cd exit") == Words{"/bin/cd", "exit"});
}

TEST_CASE("lines are commands, but for empty ones and those that begin with #") {
    CHECK(jobs_of("true\n\n  \n# no\n  # no\necho a #b\nfalse", {}) ==
          Words{"1: true", "2: /bin/sh|-c|echo a #b", "3: false"});
    CHECK(jobs_of("", {}).empty());
    CHECK(jobs_of("\n\n", {}).empty());
}

TEST_CASE("with a template lines are arguments, also those that begin with #") {
    const BatchForm form{false, {"x", "{}", "{#}"}};
    CHECK(jobs_of("a b\n\n# c\n", form) == Words{"1: x|a b|1", "2: x|# c|2"});
    CHECK(jobs_of("a\n", {false, {"x", "y"}}) == Words{"1: x|y|a"});
    CHECK(jobs_of("a\n", {false, {"x", "{#}"}}) == Words{"1: x|1|a"});
    CHECK(jobs_of("a\n", {false, {"{}"}}) == Words{"1: a"});
}

TEST_CASE("with zero bytes an item is whatever is between them") {
    using namespace std::string_view_literals;
    CHECK(jobs_of("a\nb\0\0#c\0"sv, {true, {"x"}}) == Words{"1: x|a\nb", "2: x|", "3: x|#c"});
    CHECK(jobs_of("echo\0a b\0\0\0\0true\0\0last\0one"sv, {true, {}}) ==
          Words{"1: echo|a b", "2: true", "3: last|one"});
    CHECK(jobs_of("echo\0"sv, {true, {}}) == Words{"1: echo"});
}

TEST_CASE("what is wrong with a batch names its line") {
    using namespace std::string_view_literals;
    CHECK(jobs_of("a\nb\0c\n"sv, {}).back().starts_with("line 2 of the batch: it has a zero byte"));
    auto pipe = make_pipe();
    REQUIRE(pipe);
    Commands commands(pipe->read_end.get(), {});
    const std::string half(Reader::kLongestItem / 16, 'x');
    Result<std::optional<Job>> job;
    for (int i = 0; i < 64 && job && !*job; ++i) {
        REQUIRE(write_all(pipe->write_end.get(), std::as_bytes(std::span(half))));
        REQUIRE(commands.reader().read_more());
        job = commands.next(1);
    }
    REQUIRE_FALSE(job);
    CHECK(job.error().sentence() == "line 1 of the batch: it is longer than 1 MiB");
}

TEST_CASE("a reader gives what is there before it reads on") {
    auto pipe = make_pipe();
    REQUIRE(pipe);
    const auto write = [&](std::string_view text) {
        REQUIRE(write_all(pipe->write_end.get(), std::as_bytes(std::span(text))));
    };
    Reader reader(pipe->read_end.get(), '\n');
    CHECK(*reader.next() == std::nullopt);
    write("one\ntw");
    REQUIRE(reader.read_more());
    CHECK(*reader.next() == "one");
    CHECK(*reader.next() == std::nullopt);
    CHECK_FALSE(reader.is_over());
    write("o\n\nend");
    REQUIRE(reader.read_more());
    CHECK(*reader.next() == "two");
    CHECK(*reader.next() == "");
    CHECK(*reader.next() == std::nullopt);
    pipe->write_end.reset();
    REQUIRE(reader.read_more());
    CHECK(reader.is_over());
    CHECK_FALSE(reader.is_exhausted());
    CHECK(*reader.next() == "end");
    CHECK(reader.is_exhausted());
    CHECK(reader.items() == 4);
    CHECK(reader.bytes_taken() == 12);
}

TEST_CASE("a batch halts when as many have failed, succeeded or ended as were said") {
    CHECK_FALSE(halts("never", {.completed = 9, .failed = 9}));
    CHECK_FALSE(halts("now,fail=2", {.completed = 5, .failed = 1}));
    CHECK(halts("now,fail=2", {.failed = 2}));
    CHECK(halts("soon,success=1", {.completed = 1}));
    CHECK_FALSE(halts("soon,success=1", {.failed = 5}));
    CHECK(halts("soon,done=3", {.completed = 1, .failed = 1, .cancelled = 1}));
    CHECK_FALSE(halts("soon,fail=50%", {.failed = 2}));
    CHECK(halts("soon,fail=50%", {.completed = 3, .failed = 3}));
    CHECK_FALSE(halts("soon,fail=50%", {.completed = 4, .failed = 3}));
}

TEST_CASE("a policy that makes no sense is refused") {
    for (const char* text :
         {"", "now", "now,", "never,fail=1", "now,fail", "now,fail=", "now,fail=0", "now,fail=-1",
          "now,fail=1x", "now,fail=101%", "now,done=50%", "later,fail=1", "now,fails=1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_halt(text));
    }
}

TEST_CASE("jobs are a number or a share of the processors, and never none") {
    CHECK(parse_jobs("3")->of(8) == 3);
    CHECK(parse_jobs("50%")->of(8) == 4);
    CHECK(parse_jobs("200%")->of(8) == 16);
    CHECK(parse_jobs("10%")->of(2) == 1);
    CHECK(to_text(*parse_jobs("50%")) == "50%");
    for (const char* text : {"", "0", "-1", "x", "%", "0%", "1000000", "2.5"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_jobs(text));
    }
}

TEST_CASE("no more run at a time than there are jobs") {
    Schedule schedule(2, 0, {});
    schedule.started();
    CHECK(schedule.may_start());
    schedule.started();
    CHECK_FALSE(schedule.may_start());
    schedule.ended(Schedule::Ending::failed);
    CHECK(schedule.may_start());
    schedule.stop();
    CHECK_FALSE(schedule.may_start());
    CHECK_FALSE(schedule.is_over());
    schedule.ended(Schedule::Ending::completed);
    CHECK(schedule.is_over());
    CHECK(schedule.exit_status() == 1);
}

TEST_CASE("some more may be started ahead, and count as running only when others have ended") {
    Schedule schedule(2, 1, {});
    schedule.started();
    schedule.started();
    CHECK(schedule.may_start());
    schedule.started();
    CHECK_FALSE(schedule.may_start());
    CHECK(schedule.running() == 2);
    schedule.ended(Schedule::Ending::completed);
    CHECK(schedule.running() == 2);
    CHECK(schedule.may_start());
}

TEST_CASE("what a policy does when it is reached") {
    const auto stage_after_failure = [](const char* policy) {
        Schedule schedule(3, 0, *parse_halt(policy));
        schedule.started();
        schedule.started();
        schedule.ended(Schedule::Ending::failed);
        return schedule.stage();
    };
    CHECK(stage_after_failure("never") == Schedule::Stage::running);
    CHECK(stage_after_failure("soon,fail=1") == Schedule::Stage::stopping);
    CHECK(stage_after_failure("now,fail=1") == Schedule::Stage::ending);
}

TEST_CASE("the exit status is the number of failures, up to a hundred") {
    const auto status = [](std::size_t failures, const char* policy) {
        Schedule schedule(1, 0, *parse_halt(policy));
        for (std::size_t i = 0; i < failures; ++i) {
            schedule.started();
            schedule.ended(Schedule::Ending::failed);
        }
        schedule.started();
        schedule.ended(Schedule::Ending::cancelled);
        schedule.started();
        schedule.ended(Schedule::Ending::completed);
        return schedule.exit_status();
    };
    CHECK(status(0, "never") == 0);
    CHECK(status(100, "never") == 100);
    CHECK(status(101, "never") == 101);
    CHECK(status(500, "never") == 101);
    CHECK(status(5, "now,success=1") == 0);
    CHECK(status(5, "now,success=2") == 5);
}

TEST_CASE("the rate is that of the last while, and the rest takes as long as it says") {
    const Pace::Clock::time_point start{};
    Pace pace(start);
    CHECK(pace.rate(start) == 0);
    CHECK_FALSE(pace.remaining(5, start + 1s));
    for (int second = 1; second <= 100; ++second)
        pace.ended(static_cast<std::size_t>(second) * 10, start + std::chrono::seconds(second));
    CHECK(pace.rate(start + 100s) == doctest::Approx(10));
    CHECK(pace.remaining(25, start + 100s) == 3s);
    CHECK(pace.remaining(0, start + 100s) == 0s);
    // It becomes slower, and after the while nothing is left of how quick it was.
    for (int second = 101; second <= 160; ++second)
        pace.ended(1000 + static_cast<std::size_t>(second) - 100, start + std::chrono::seconds(second));
    CHECK(pace.rate(start + 160s) == doctest::Approx(1));
}

TEST_CASE("the line of a batch says how far it is, and fits") {
    BatchProgress progress;
    progress.tally = {.completed = 49, .failed = 1};
    progress.running = 2;
    CHECK(batch_line(progress, 79) == "50 done  2 running  1 failed");
    progress.total = 200;
    progress.rate = 12.4;
    progress.remaining = 75s;
    CHECK(batch_line(progress, 79) ==
          "50/200 [#####...............] 25%  12/s  1m15s left  2 running  1 failed");
    CHECK(batch_line(progress, 30) == "50/200 25%  12/s  1m15s left …");
    progress.total_is_estimate = true;
    progress.rate = 0.05;
    CHECK(batch_line(progress, 59) == "50/~200 25%  3.0/min  1m15s left  2 running  1 failed");
    progress.total = 10;
    CHECK(batch_line(progress, 59).starts_with("50/~50 100%"));
}

TEST_CASE("the summary says what there was") {
    CHECK(batch_summary({.completed = 1}, 1500ms) == "1 operation: 1 completed, in 1.5s");
    CHECK(batch_summary({.completed = 7, .failed = 2, .cancelled = 1}, 2s) ==
          "10 operations: 7 completed, 2 failed, 1 cancelled, in 2.0s (5.0/s)");
}

TEST_SUITE_END();
