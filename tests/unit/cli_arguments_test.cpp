#include <doctest/doctest.h>

#include <array>

#include "cli/application.h"
#include "cli/nearest.h"
#include "cli/options.h"
#include "cli/selector_options.h"

using namespace cancelable;
using namespace cancelable::cli;

namespace {

Invocation invoked(const std::vector<std::string>& arguments) {
    auto invocation = parse_invocation(arguments);
    if (!invocation) FAIL(invocation.error().sentence());
    return std::move(*invocation);
}

std::string complaint(const std::vector<std::string>& arguments) {
    const auto invocation = parse_invocation(arguments);
    REQUIRE_FALSE(invocation);
    CHECK(invocation.error().code == ErrorCode::usage);
    return invocation.error().sentence();
}

// The command that `run` would see, or the exit status of its refusal.
struct Parsed {
    std::optional<int> done;
    Words command;
    bool detach = false;
    std::string name;
};

Parsed parse_run(const Words& words) {
    Parsed parsed;
    Options options("run", "test");
    options.flag("-d,--detach", "", parsed.detach);
    options.text("-n,--name", "NAME", "", parsed.name);
    options.command(parsed.command);
    parsed.done = options.parse(words);
    return parsed;
}

}  // namespace

TEST_CASE("no verb is list, and options without a verb are those of list") {
    CHECK(invoked({}).verb->name == "list");
    CHECK(invoked({"-v"}).verb->name == "list");
    CHECK(invoked({"--all", "--json"}).words == Words{"--all", "--json"});
}

TEST_CASE("global options stand before the verb, in both spellings") {
    const Invocation invocation =
        invoked({"--socket", "/s", "--config=/c", "--color=never", "-q", "run", "-d", "x"});
    CHECK(invocation.globals.socket == "/s");
    CHECK(invocation.globals.config == "/c");
    CHECK(invocation.globals.color == ColorChoice::never);
    CHECK(invocation.globals.quiet);
    CHECK(invocation.verb->name == "run");
    CHECK(invocation.words == Words{"-d", "x"});
}

TEST_CASE("verbs have aliases") {
    CHECK(invoked({"ls"}).verb->name == "list");
    CHECK(invoked({"ps"}).verb->name == "list");
    CHECK(invoked({"stop"}).verb->name == "cancel");
    CHECK(invoked({"kill"}).verb->name == "cancel");
    CHECK(invoked({"inspect"}).verb->name == "show");
    CHECK(find_verb("l") == nullptr);
    CHECK(find_verb("") == nullptr);
}

TEST_CASE("an unknown verb or option is refused with the nearest known word") {
    CHECK(complaint({"lsit"}).starts_with("unknown verb \"lsit\"; did you mean \"list\"?"));
    CHECK(complaint({"xyzzy"}).find("did you mean") == std::string::npos);
    CHECK(complaint({"--sockte", "x"}).find("did you mean \"--socket\"") != std::string::npos);
    CHECK(complaint({"--socket"}).starts_with("--socket needs a value"));
    CHECK(complaint({"--color", "red"}).find("none of auto, always and never") != std::string::npos);
}

TEST_CASE("the options of run end at the first word that is none") {
    const Parsed parsed = parse_run({"-d", "--name", "x", "cmd", "-d", "--name", "y"});
    CHECK_FALSE(parsed.done);
    CHECK(parsed.detach);
    CHECK(parsed.name == "x");
    CHECK(parsed.command == Words{"cmd", "-d", "--name", "y"});
}

TEST_CASE("two dashes before the command are optional, and those in it are its own") {
    CHECK(parse_run({"--", "cmd", "--", "x"}).command == Words{"cmd", "--", "x"});
    CHECK(parse_run({"cmd", "--", "x"}).command == Words{"cmd", "--", "x"});
    CHECK(parse_run({"-d", "--", "-cmd"}).command == Words{"-cmd"});
    CHECK(parse_run({"--", "[a,b]", "{x}"}).command == Words{"[a,b]", "{x}"});
    CHECK(parse_run({"--"}).command.empty());
}

TEST_CASE("an unknown option before the command is a usage error, one behind it is the command's") {
    CHECK(parse_run({"--nmae", "x", "cmd"}).done == 2);
    CHECK(parse_run({"-z", "cmd"}).done == 2);
    CHECK(parse_run({"--name"}).done == 2);
    CHECK_FALSE(parse_run({"cmd", "--nmae"}).done);
}

TEST_CASE("options may come in any spelling that people use") {
    CHECK(parse_run({"--name=x=y", "cmd"}).name == "x=y");
    CHECK(parse_run({"-nx", "cmd"}).name == "x");
    CHECK(parse_run({"-dn", "x", "cmd"}).name == "x");
    CHECK(parse_run({"-n", "-x", "cmd"}).name == "-x");
}

TEST_CASE("words of digits are ids, all others globs") {
    Options options("cancel", "test");
    SelectorOptions selectors;
    selectors.add_to(options, AllMeans::every_operation);
    REQUIRE_FALSE(
        options.parse({"12", "user_*", "--tag", "b=2", "--tag=a=1=x", "[ab]", "--status", "running", "0"}));
    const Selector selector = selectors.selector();
    CHECK(selector.ids == std::vector<OperationId>{12});
    CHECK(selector.globs == Words{"user_*", "[ab]", "0"});
    CHECK(selector.tags == Tags{{"a", "1=x"}, {"b", "2"}});
    CHECK(selector.statuses == std::vector<Status>{Status::running});
    CHECK_FALSE(selector.all);
}

TEST_CASE("the nearest word is found across slips of the fingers, and only near by") {
    constexpr std::array<std::string_view, 4> words{"list", "cancel", "config", "current"};
    CHECK(nearest_word("lits", words) == "list");
    CHECK(nearest_word("cancle", words) == "cancel");
    CHECK(nearest_word("conf", words) == "config");
    CHECK(nearest_word("zzz", words).empty());
    CHECK(nearest_word("", words).empty());
    CHECK(nearest_word(std::string(5000, 'x'), words).empty());
}

TEST_CASE("an id is a number from 1 on") {
    CHECK(parse_id("12") == 12);
    for (const char* text : {"", "0", "-1", "1x", "x", "99999999999999999999", " 1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_id(text));
    }
}
