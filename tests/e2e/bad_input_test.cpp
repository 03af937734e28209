// Bad input: one clear sentence on stderr, the exit status of the contract, and nothing left behind.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

void check_error(Sandbox& sandbox, const Words& arguments, int status, const std::string& says = "") {
    std::string line;
    for (const std::string& word : arguments)
        line += word + " ";
    CAPTURE(line);
    const Finished finished = sandbox.run(arguments);
    CHECK(finished.status == status);
    CHECK(finished.out == "");
    CHECK_MESSAGE(finished.err.starts_with("cancelable: "), finished.err);
    CHECK_MESSAGE(std::count(finished.err.begin(), finished.err.end(), '\n') == 1, finished.err);
    CHECK_MESSAGE(finished.err.find(says) != std::string::npos, finished.err);
    CHECK(sandbox.strangers().empty());
}

bool has_control_characters(const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) < 0x20 && byte != '\n') || byte == 0x7f;
    });
}

}  // namespace

TEST_SUITE_BEGIN("bad input");

TEST_CASE("unknown words and flags are usage errors") {
    Sandbox sandbox;
    check_error(sandbox, {"nosuchverb"}, 2, "nosuchverb");
    check_error(sandbox, {"lits"}, 2, "list");
    check_error(sandbox, {"--nosuchflag"}, 2, "--nosuchflag");
    check_error(sandbox, {"run", "--nosuchflag", "true"}, 2, "--nosuchflag");
    check_error(sandbox, {"run", "--timout", "5s", "true"}, 2, "--timout");
    check_error(sandbox, {"list", "--nosuchflag"}, 2, "--nosuchflag");
    check_error(sandbox, {"cancel", "--nosuchflag", "1"}, 2);
    check_error(sandbox, {"supervisor"}, 2);
    check_error(sandbox, {"supervisor", "nosuchverb"}, 2);
    check_error(sandbox, {"show"}, 2);
    check_error(sandbox, {"logs"}, 2);
    check_error(sandbox, {"wait"}, 2);
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_CASE("a missing command is a usage error also with --detach") {
    Sandbox sandbox;
    check_error(sandbox, {"run"}, 2);
    check_error(sandbox, {"run", "--"}, 2);
    check_error(sandbox, {"run", "--detach"}, 2);
    check_error(sandbox, {"run", "--detach", "--"}, 2);
    check_error(sandbox, {"run", "-n"}, 2);
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_CASE("durations and signals and other values that make no sense are usage errors") {
    Sandbox sandbox;
    for (const char* duration :
         {"soon", "", "-1s", "5x", "s", "1h2", "1e999", "99999999999999999999d", "nan"}) {
        check_error(sandbox, {"run", "--timeout", duration, "true"}, 2);
        check_error(sandbox, {"run", "--grace", duration, "true"}, 2);
    }
    for (const char* signal : {"NOSUCH", "0", "-1", "65", "SIG", ""})
        check_error(sandbox, {"run", "--signal", signal, "true"}, 2);
    check_error(sandbox, {"run", "--orphans", "adopt", "true"}, 2, "adopt");
    check_error(sandbox, {"run", "--on-disconnect", "maybe", "true"}, 2, "maybe");
    check_error(sandbox, {"run", "--tag", "no-equals-sign", "true"}, 2);
    check_error(sandbox, {"run", "-e", "=value", "true"}, 2);
    check_error(sandbox, {"run", "--parent", "abc", "true"}, 2, "abc");
    check_error(sandbox, {"--color", "sometimes", "list"}, 2, "sometimes");
    check_error(sandbox, {"list", "--status", "sleeping"}, 2, "sleeping");
    check_error(sandbox, {"list", "--older-than", "soon"}, 2);
    check_error(sandbox, {"cancel", "1", "--signal", "NOSUCH"}, 2, "NOSUCH");
    check_error(sandbox, {"show", "abc"}, 2, "abc");
}

TEST_CASE("an id that nobody has exits 1") {
    Sandbox sandbox;
    check_error(sandbox, {"show", "999999"}, 1, "999999");
    check_error(sandbox, {"logs", "999999"}, 1, "999999");
    check_error(sandbox, {"wait", "999999"}, 1, "999999");
    check_error(sandbox, {"cancel", "999999"}, 1, "999999");
    check_error(sandbox, {"wait", "no_such_*"}, 1);
    check_error(sandbox, {"show", "99999999999999999999999999"}, 2);
}

TEST_CASE("a parent that nobody has is refused and nothing is started") {
    Sandbox sandbox;
    check_error(sandbox, {"run", "--parent", "999999", "--", "touch", sandbox.path("touched")}, 1, "999999");
    CHECK(::access(sandbox.path("touched").c_str(), F_OK) != 0);
}

TEST_CASE("a name with newlines and control characters is shown escaped") {
    Sandbox sandbox;
    const std::string name = "two\nlines\x1b[31m\x07\ttab\x7f";
    const std::string id = sandbox.detach({"-n", name, "--tag", "k=\x1b[2J"}, {"sleep", "1000"});
    for (const Words& arguments :
         {Words{"list"}, Words{"list", "--tree"}, Words{"show", id}, Words{"cancel", id, "--dry-run"}}) {
        const Finished shown = sandbox.run(arguments);
        CAPTURE(shown.out);
        CHECK(shown.status == 0);
        CHECK_FALSE(has_control_characters(shown.out));
        CHECK(shown.out.find("two\\nlines") != std::string::npos);
    }
    CHECK(sandbox.run({"list"}).out.find("\nlines") == std::string::npos);
    // For programs it is what was given.
    CHECK(sandbox.show(id).at("name") == name);
    CHECK(sandbox.show(id).at("tags").at("k") == "\x1b[2J");
    const Finished cancelled = sandbox.run({"cancel", name});
    CHECK(cancelled.status == 0);
    CHECK_FALSE(has_control_characters(cancelled.out));
    CHECK(std::count(cancelled.out.begin(), cancelled.out.end(), '\n') <= 2);
}

TEST_CASE("help and version go to stdout and need no supervisor") {
    Sandbox sandbox;
    const Finished version = sandbox.run({"--version"});
    CHECK(version.status == 0);
    CHECK(version.out.starts_with("cancelable "));
    for (const char* verb :
         {"run", "list", "cancel", "show", "wait", "logs", "stats", "current", "supervisor", "config"}) {
        const Finished help = sandbox.run({verb, "--help"});
        CAPTURE(verb);
        CHECK(help.status == 0);
        CHECK(help.err == "");
        CHECK(help.out.find(std::string("cancelable ") + verb) != std::string::npos);
    }
    const Finished help = sandbox.run({"--help"});
    CHECK(help.status == 0);
    for (const char* verb :
         {"run", "list", "cancel", "show", "wait", "logs", "stats", "current", "supervisor"})
        CHECK(help.out.find(verb) != std::string::npos);
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_CASE("options end at the first word that is none") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"run", "echo", "--timeout", "-n", "--", "--help"});
    CHECK(finished.status == 0);
    CHECK(finished.out == "--timeout -n -- --help\n");
    CHECK(sandbox.run({"run", "--", "echo", "--", "x"}).out == "-- x\n");
}

TEST_CASE("the command is executed and not given to a shell") {
    Sandbox sandbox;
    CHECK(sandbox.run({"run", "echo", "$HOME", "*", ";", "exit 3"}).out == "$HOME * ; exit 3\n");
    CHECK(sandbox.run({"run", "echo hello"}).status == 127);
    CHECK(sandbox.run({"run", ""}).status == 127);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
