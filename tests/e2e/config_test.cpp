// The configuration file: what it sets, who beats it, and how its errors read.
#include <doctest/doctest.h>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

const char* const kFile = "config/cancelable/config.toml";

}  // namespace

TEST_SUITE_BEGIN("config");

TEST_CASE("config path tells where the file is looked for") {
    Sandbox sandbox;
    CHECK(sandbox.run({"config", "path"}).out == sandbox.path(kFile) + "\n");
    CHECK(sandbox.run({"--config", "/elsewhere.toml", "config", "path"}).out == "/elsewhere.toml\n");
    CHECK_FALSE(sandbox.supervisor().has_value());
}

TEST_CASE("the file sets defaults of run and a flag beats the environment and that beats the file") {
    Sandbox sandbox;
    sandbox.write_file(kFile, "[run]\ngrace = \"77s\"\ntimeout = \"1h\"\n");
    const auto grace_of = [&](const Words& options) {
        return sandbox.show(sandbox.detach(options, {"sleep", "1000"})).at("grace");
    };
    CHECK(grace_of({}) == 77.0);
    sandbox.set_environment("CANCELABLE_RUN_GRACE", "88s");
    CHECK(grace_of({}) == 88.0);
    CHECK(grace_of({"--grace", "99s"}) == 99.0);
}

TEST_CASE("a default for a name glob applies to the names that match") {
    Sandbox sandbox;
    sandbox.write_file(kFile, "[run]\ngrace = \"50s\"\n[[run.match]]\nname = \"train_*\"\ngrace = \"60s\"\n");
    CHECK(sandbox.show(sandbox.detach({"-n", "train_7"}, {"sleep", "1000"})).at("grace") == 60.0);
    CHECK(sandbox.show(sandbox.detach({"-n", "other"}, {"sleep", "1000"})).at("grace") == 50.0);
}

TEST_CASE("config show tells what is in force") {
    Sandbox sandbox;
    sandbox.write_file(kFile, "[run]\ngrace = \"77s\"\n");
    const Finished shown = sandbox.run({"config", "show"});
    CHECK(shown.status == 0);
    CHECK(shown.out.find("77s") != std::string::npos);
}

TEST_CASE("the documented configuration is accepted and says the defaults") {
    Sandbox sandbox;
    const std::string documented = std::string(CANCELABLE_SOURCE) + "/share/config/cancelable.toml";
    SpawnOptions as_root = sandbox.options();
    as_root.as_root = true;  // The source tree may be one that only its owner can read.
    CHECK(sandbox.run({"--config", documented, "config", "check"}, as_root).status == 0);
    CHECK(sandbox.run({"--config", documented, "config", "show"}, as_root).out ==
          sandbox.run({"config", "show"}).out);
}

TEST_CASE("errors in the file name file and line and column") {
    Sandbox sandbox;
    const struct {
        const char* text;
        const char* place;
        const char* word;
    } cases[] = {
        {"[run]\ngrace = \n", "2:", ""},
        {"[run]\n  grce = \"5s\"\n", "2:3", "grace"},
        {"[run]\ngrace = \"soon\"\n", "2:", "soon"},
        {"[suprevisor]\nidle_exit = \"5s\"\n", "1:", "supervisor"},
        {"[run]\nsignal = \"NOSUCH\"\n", "2:", "NOSUCH"},
    };
    for (const auto& [text, place, word] : cases) {
        const std::string file = sandbox.write_file(kFile, text);
        for (const Words& arguments : {Words{"config", "check"}, Words{"run", "true"}}) {
            const Finished finished = sandbox.run(arguments);
            CAPTURE(text);
            CHECK(finished.status == 125);
            CHECK(finished.out == "");
            CHECK_MESSAGE(finished.err.find(file + ":" + place) != std::string::npos, finished.err);
            CHECK_MESSAGE(finished.err.find(word) != std::string::npos, finished.err);
        }
    }
}

TEST_CASE("a file that was asked for and is missing is an error") {
    Sandbox sandbox;
    const Finished finished = sandbox.run({"--config", "/no/such/file.toml", "run", "true"});
    CHECK(finished.status == 125);
    CHECK(finished.err.find("/no/such/file.toml") != std::string::npos);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
