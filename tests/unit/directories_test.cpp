#include "engine/directories.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

using namespace cancelable;

namespace {

// A directory of its own for each test, removed with everything in it.
struct Sandbox {
    std::string path;
    Sandbox() {
        char name[] = "/tmp/cancelable-test-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        path = name;
    }
    ~Sandbox() { std::filesystem::remove_all(path); }
};

// Sets a variable for as long as it lives.
struct Environment {
    std::string name;
    std::string before;
    bool was_set;
    Environment(const char* variable, const char* value) : name(variable) {
        const char* old = std::getenv(variable);
        was_set = old != nullptr;
        if (was_set) before = old;
        if (value != nullptr)
            ::setenv(variable, value, 1);
        else
            ::unsetenv(variable);
    }
    ~Environment() {
        if (was_set)
            ::setenv(name.c_str(), before.c_str(), 1);
        else
            ::unsetenv(name.c_str());
    }
};

std::string sentence_of(const Result<>& result) {
    REQUIRE_FALSE(result);
    return result.error().sentence();
}

}  // namespace

TEST_CASE("the runtime directory follows XDG_RUNTIME_DIR, then TMPDIR, then /tmp") {
    const std::string of_user = "/cancelable-" + std::to_string(::getuid());
    {
        const Environment set("XDG_RUNTIME_DIR", "/run/somebody");
        CHECK(default_runtime_directory() == "/run/somebody/cancelable");
    }
    const Environment unset("XDG_RUNTIME_DIR", "relative/does/not/count");
    {
        const Environment temporary("TMPDIR", "/var/tmp");
        CHECK(default_runtime_directory() == "/var/tmp" + of_user);
    }
    const Environment temporary("TMPDIR", nullptr);
    CHECK(default_runtime_directory() == "/tmp" + of_user);
}

TEST_CASE("state and configuration need a home, and say so") {
    const Environment no_state("XDG_STATE_HOME", nullptr);
    const Environment no_config("XDG_CONFIG_HOME", nullptr);
    {
        const Environment home("HOME", "/home/somebody");
        CHECK(default_state_directory() == "/home/somebody/.local/state/cancelable");
        CHECK(default_config_directory() == "/home/somebody/.config/cancelable");
    }
    const Environment home("HOME", nullptr);
    REQUIRE_FALSE(default_state_directory());
    CHECK(default_state_directory().error().sentence() == "HOME is not set: set it, or XDG_STATE_HOME");
    CHECK_FALSE(default_config_directory());
}

TEST_CASE("a private directory is made where it is missing, and nobody else may enter it") {
    const Sandbox sandbox;
    const std::string path = sandbox.path + "/private";
    REQUIRE(ensure_private_directory(path));
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0700);
    CHECK(ensure_private_directory(path));
}

TEST_CASE("a directory that is open to others is refused") {
    const Sandbox sandbox;
    for (const mode_t mode : {0710, 0701, 0750, 0777}) {
        CAPTURE(mode);
        REQUIRE(::chmod(sandbox.path.c_str(), mode) == 0);
        CHECK(sentence_of(ensure_private_directory(sandbox.path)).find("is open to others") !=
              std::string::npos);
    }
}

TEST_CASE("a directory of another user is refused") {
    // Only root can make one; everybody else finds one that is always there.
    if (::geteuid() != 0) {
        CHECK(sentence_of(ensure_private_directory("/usr")).find("belongs to user 0") != std::string::npos);
        return;
    }
    const Sandbox sandbox;
    REQUIRE(::chown(sandbox.path.c_str(), 12345, static_cast<gid_t>(-1)) == 0);
    CHECK(sentence_of(ensure_private_directory(sandbox.path)).find("belongs to user 12345") !=
          std::string::npos);
}

TEST_CASE("a link or a file in the place of the directory is refused") {
    const Sandbox sandbox;
    const std::string link = sandbox.path + "/link";
    REQUIRE(::symlink(sandbox.path.c_str(), link.c_str()) == 0);
    CHECK(sentence_of(ensure_private_directory(link)).find("is no directory") != std::string::npos);
}

TEST_CASE("the directories above are made only where that is asked for") {
    const Sandbox sandbox;
    const std::string deep = sandbox.path + "/a/b/c";
    CHECK(sentence_of(ensure_private_directory(deep)).find("no such file or directory") != std::string::npos);
    CHECK(ensure_private_directory_tree(deep));
    CHECK(std::filesystem::is_directory(deep));
}

TEST_CASE("a socket path is made absolute, and refused where the kernel would cut it off") {
    const Environment set("XDG_RUNTIME_DIR", "/run/somebody");
    CHECK(resolve_socket_path("") == "/run/somebody/cancelable/socket");
    CHECK(resolve_socket_path("/x/y") == "/x/y");
    CHECK(resolve_socket_path("y").value() == std::filesystem::current_path().string() + "/y");
    CHECK(resolve_socket_path("/" + std::string(106, 'x')));
    const auto too_long = resolve_socket_path("/" + std::string(107, 'x'));
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().sentence().find("has 108 bytes, and the kernel allows 107") != std::string::npos);
}

TEST_CASE("the parent of a path is what stands before its last slash") {
    CHECK(parent_directory("/a/b") == "/a");
    CHECK(parent_directory("/a") == "/");
    CHECK(parent_directory("a") == ".");
}
