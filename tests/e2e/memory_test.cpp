// What a shim keeps in memory that does nothing but wait.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/e2e/sandbox.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {
namespace {

// How much of the code of its program and its libraries is mapped; none where there is no such process.
std::optional<long> mapped_code_kib(pid_t pid) {
    std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
    std::optional<long> sum;
    bool is_code = false;
    for (std::string line; std::getline(smaps, line);) {
        std::istringstream words(line);
        std::string key, second, offset, device, inode, file;
        words >> key >> second >> offset >> device >> inode >> file;
        if (!key.ends_with(':')) is_code = second.contains('x') && file.starts_with('/');
        if (key == "Rss:" && is_code) sum = sum.value_or(0) + std::stol(second);
    }
    return sum;
}

void wait_until_frugal(pid_t shim) {
    // Touching anything else would bring in as much again: with a page the kernel maps the 64 KiB around it.
    constexpr long kLittle = 48;
    wait_until("the shim has given its code back", [&] {
        const auto mapped = mapped_code_kib(shim);
        return mapped && *mapped <= kLittle;
    });
}

}  // namespace

TEST_SUITE_BEGIN("memory");

TEST_CASE("a shim that only waits keeps a few pages of its code, and works as before") {
    if (std::getenv("CANCELABLE_TEST_PROGRAMS") != nullptr)
        return skip("a sanitizer, which other programs are built with, runs code whenever a shim waits");
    Sandbox sandbox;
    const std::string id = sandbox.detach({}, {"sleep", "1000"});
    const pid_t guarding = sandbox.shims().at(0);
    wait_until_frugal(guarding);
    CHECK(sandbox.run({"cancel", id}).status == 0);

    wait_until("it is idle", [&] { return sandbox.idle_shims() == std::vector{guarding}; });
    wait_until_frugal(guarding);
    const Finished next = sandbox.run({"run", "--", "sh", "-c", "echo $PPID"});
    CHECK(next.out == std::to_string(guarding) + "\n");
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
