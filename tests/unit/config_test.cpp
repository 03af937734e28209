#include "cli/config/config.h"

#include <doctest/doctest.h>
#include <sys/types.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

using namespace cancelable;
using namespace cancelable::cli;
using namespace std::chrono_literals;

namespace {

Config parsed(std::string_view text) {
    auto config = Config::parse(text, "c.toml");
    if (!config) FAIL(config.error().sentence());
    return std::move(*config);
}

std::string complaint(std::string_view text) {
    const auto config = Config::parse(text, "c.toml");
    REQUIRE_FALSE(config);
    CHECK(config.error().code == ErrorCode::damaged);
    return config.error().sentence();
}

std::string documented_configuration() {
    std::ifstream file(std::string(CANCELABLE_SOURCE_DIRECTORY) + "/share/config/cancelable.toml");
    REQUIRE(file);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("an empty configuration is the defaults") {
    const Settings settings = parsed("").settings();
    CHECK(settings.run.grace == 10s);
    CHECK(settings.run.signal == SIGTERM);
    CHECK_FALSE(settings.run.log.has_value());
    CHECK(settings.idle_exit == 10min);
}

TEST_CASE("every flag of run can have a default") {
    const Settings settings = parsed(R"(
[run]
detach = true
name = "job"
timeout = "1.5m"
grace = 2
signal = "int"
orphans = "wait"
cwd = "/tmp"
env = { A = "1", B = "x y" }
tag = { user = "42" }
parent = "none"
log = false
on_disconnect = "keep"
preserve_status = true
cancel_on = ["idle:1m", "file:a"]
[supervisor]
idle_exit = "0s"
history_size = 5
[output]
color = "never"
)")
                                  .settings();
    CHECK(settings.run.detach);
    CHECK(settings.run.name == "job");
    CHECK(settings.run.timeout == 90s);
    CHECK(settings.run.grace == 2s);
    CHECK(settings.run.signal == SIGINT);
    CHECK(settings.run.orphans == Orphans::wait);
    CHECK(settings.run.cwd == "/tmp");
    CHECK(settings.run.env == Pairs{{"A", "1"}, {"B", "x y"}});
    CHECK(settings.run.tags == Tags{{"user", "42"}});
    CHECK(settings.run.parent == "none");
    CHECK(settings.run.log == false);
    CHECK(settings.run.on_disconnect == OnDisconnect::keep);
    CHECK(settings.run.preserve_status);
    CHECK(settings.run.cancel_on == std::vector<std::string>{"idle:1m", "file:a"});
    CHECK(settings.idle_exit == 0s);
    CHECK(settings.history_size == 5);
    CHECK(settings.color == ColorChoice::never);
}

TEST_CASE("blocks for names lie on top of the rest, the later on top of the earlier") {
    const Config config = parsed(R"(
[run]
grace = "1s"
env = { A = "run" }
[[run.match]]
name = "train_*"
grace = "2s"
env = { B = "match" }
[[run.match]]
name = "*_7"
grace = "3s"
)");
    CHECK(config.settings_for("build").run.grace == 1s);
    CHECK(config.settings_for("train_1").run.grace == 2s);
    CHECK(config.settings_for("train_7").run.grace == 3s);
    CHECK(config.settings_for("train_1").run.env == Pairs{{"A", "run"}, {"B", "match"}});
    CHECK(config.settings().run.grace == 1s);
}

TEST_CASE("an error names file, line and column") {
    CHECK(complaint("[run]\ngrace = \"soon\"\n").starts_with("c.toml:2:9: grace: \"soon\" is no duration"));
    CHECK(complaint("[run]\ndetach = 3\n") == "c.toml:2:10: detach: must be true or false");
    CHECK(complaint("[run\n").starts_with("c.toml:1:"));
    CHECK(complaint("[[run.match]]\ngrace = \"1s\"\n").find("needs name") != std::string::npos);
    CHECK(complaint("[run]\norphans = \"kil\"\n").find("did you mean \"kill\"") != std::string::npos);
    CHECK(complaint("[run]\ntimeout = -1\n").find("is no duration") != std::string::npos);
    CHECK(complaint("[run]\ntimeout = [1]\n").starts_with("c.toml:2:11: timeout:"));
    CHECK(complaint("[run]\ncancel_on = [\"file:a\", \"idle:x\"]\n")
              .starts_with("c.toml:2:13: cancel_on: \"idle:x\", column 6: "));
    CHECK(complaint("[run]\ncancel_on = [1]\n").starts_with("c.toml:2:13: cancel_on:"));
    CHECK(complaint("run = 3\n") == "c.toml:1:7: [run] must be a table");
}

TEST_CASE("an unknown key is an error that suggests the nearest known one") {
    CHECK(complaint("[run]\n\ntimout = \"1s\"\n") ==
          "c.toml:3:1: unknown key \"timout\" in [run]; did you mean \"timeout\"?");
    CHECK(complaint("[superviser]\n").find("did you mean \"supervisor\"") != std::string::npos);
    CHECK(complaint("[run]\nsomething_else = 1\n") == "c.toml:2:1: unknown key \"something_else\" in [run]");
    CHECK(complaint("[[run.match]]\nname = \"x\"\ngrac = 1\n").find("did you mean \"grace\"") !=
          std::string::npos);
}

TEST_CASE("the environment beats the file, and its error names the variable") {
    Settings settings = parsed("[run]\ntimeout = \"1s\"\n").settings();
    ::setenv("CANCELABLE_RUN_TIMEOUT", "7s", 1);
    CHECK(apply_environment(settings));
    CHECK(settings.run.timeout == 7s);
    ::setenv("CANCELABLE_RUN_TIMEOUT", "soon", 1);
    const auto refused = apply_environment(settings);
    ::unsetenv("CANCELABLE_RUN_TIMEOUT");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().sentence().starts_with("CANCELABLE_RUN_TIMEOUT: \"soon\" is no duration"));
}

TEST_CASE("what is shown of the settings reads back as the same") {
    const Settings settings = parsed(R"(
[run]
name = "a \"quoted\" one"
timeout = "1500ms"
grace = "2h"
signal = 34
env = { "odd key" = "new\nline" }
log = true
)")
                                  .settings();
    std::string text;
    for (const char* section : {"run", "batch", "supervisor", "output"}) {
        text += "[" + std::string(section) + "]\n";
        for (const Key& key : all_keys())
            if (key.section == section) text += std::string(key.name) + " = " + key.show(settings) + "\n";
    }
    const Settings again = parsed(text).settings();
    for (const Key& key : all_keys()) {
        CAPTURE(std::string(key.name));
        CHECK(key.show(again) == key.show(settings));
    }
}

TEST_CASE("the documented configuration has every key, with its default") {
    const std::string text = documented_configuration();
    const Settings documented = parsed(text).settings();
    const Settings defaults;
    for (const Key& key : all_keys()) {
        const std::string line = "\n" + std::string(key.name) + " = " + key.show(defaults) + "\n";
        CAPTURE(line);
        CHECK(text.find(line) != std::string::npos);
        CHECK(key.show(documented) == key.show(defaults));
    }
}

TEST_CASE("every flag of run has a key") {
    // The flags of the contract that are no flags of the table would have no default in the configuration.
    std::set<std::string> flags;
    for (const Key& key : all_keys())
        if (key.section == "run") flags.insert(std::string(key.flag.substr(key.flag.find("--"))));
    CHECK(flags == std::set<std::string>{"--detach", "--name", "--timeout", "--grace", "--signal",
                                         "--orphans", "--pause-timeouts", "--cwd", "--env", "--tag",
                                         "--parent", "--log", "--on-disconnect", "--preserve-status",
                                         "--cancel-on", "--on-start", "--on-cancel", "--on-end",
                                         "--hook-timeout"});
}

TEST_CASE("a file that was named must be there, the default one need not") {
    CHECK_FALSE(Config::load("/nowhere/config.toml"));
    ::setenv("XDG_CONFIG_HOME", "/nowhere", 1);
    const auto config = Config::load("");
    ::unsetenv("XDG_CONFIG_HOME");
    REQUIRE(config);
    CHECK_FALSE(config->exists());
    CHECK(config->path() == "/nowhere/cancelable/config.toml");
}
