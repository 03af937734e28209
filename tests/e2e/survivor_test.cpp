// A process that has become another user may not be signalled: then nobody is told that the operation is
// gone.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

// A copy that is setuid root, where the test can make one that works.
std::optional<std::string> setuid_fixture(Sandbox& sandbox) {
    if (::geteuid() != 0) return std::nullopt;
    const std::string path = sandbox.path("becomes_root");
    std::filesystem::copy_file(Sandbox::fixture("root_survivor"), path);
    if (::chown(path.c_str(), 0, 0) != 0 || ::chmod(path.c_str(), 04755) != 0) return std::nullopt;
    Fifo up = sandbox.fifo();
    Child probe = Child::spawn({path, up.path()}, sandbox.options());
    const bool works = up.wait_for_line_unless_ended(probe).has_value();
    return works ? std::optional(path) : std::nullopt;
}

}  // namespace

TEST_SUITE_BEGIN("survivors");

TEST_CASE("a process that has become root is named as a survivor and never called gone") {
    Sandbox sandbox;
    const auto program = setuid_fixture(sandbox);
    if (!program) return skip("a setuid root program cannot be made here");
    Fifo up = sandbox.fifo();
    const std::string id = sandbox.detach(
        {"--grace", "200ms"}, {"sh", "-c", "sleep 1000 & " + *program + " " + up.path() + " & wait"});
    REQUIRE(up.wait_for_line() == "up");
    pid_t survivor = 0;
    for (const pid_t pid : sandbox.strangers())
        if (program_of(pid) == "becomes_root") survivor = pid;
    REQUIRE(survivor != 0);
    const Witness root({survivor});
    const Witness tree = sandbox.tree();

    const Finished cancelled = sandbox.run({"cancel", id});
    CHECK(tree.alive() == std::vector<pid_t>{survivor});
    CHECK(cancelled.status == 3);
    CHECK((cancelled.out + cancelled.err).find(std::to_string(survivor)) != std::string::npos);
    const Json record = sandbox.show(id);
    CHECK(record.at("status") == "cancelling");
    CHECK(record.at("ended_at") == nullptr);
    CHECK(record.at("cancel").at("gone_at") == nullptr);
    CHECK(record.at("cancel").at("survivors") == Json::array({survivor}));

    // Whoever may ends it: then it is gone, and said to be.
    root.signal(SIGKILL);
    root.wait_until_gone();
    wait_until("the operation to be over", [&] { return sandbox.show(id).at("status") == "cancelled"; });
    CHECK(sandbox.show(id).at("cancel").at("gone_at").is_string());
}

TEST_CASE("a foreground run with a survivor says so and exits 125") {
    Sandbox sandbox;
    const auto program = setuid_fixture(sandbox);
    if (!program) return skip("a setuid root program cannot be made here");
    Fifo up = sandbox.fifo();
    Child client = sandbox.start({"run", "--grace", "200ms", "--", *program, up.path()});
    REQUIRE(up.wait_for_line() == "up");
    const Witness tree = sandbox.tree();
    const pid_t survivor = sandbox.command_of(sandbox.only_live_id());
    client.signal(SIGINT);
    const Finished finished = client.wait();
    CHECK(finished.status == 125);
    CHECK(finished.err.find(std::to_string(survivor)) != std::string::npos);
    CHECK_FALSE(tree.all_gone());
    tree.signal(SIGKILL);
    tree.wait_until_gone();
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
