#include "cli/supervisor/log.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "engine/context.h"
#include "engine/workers.h"

namespace cancelable::cli {
namespace {

TEST_CASE("a log line written on a worker thread says for which operation, and others do not") {
    char path[] = "/tmp/cancelable-log-XXXXXX";
    const int fd = ::mkstemp(path);
    REQUIRE(fd >= 0);
    ::close(fd);
    {
        SupervisorLog log(path, false);
        WorkerPool pool(1);
        log.info("started");
        const ContextScope scope(Context({12, "train", {}}));
        CHECK(pool.run_in_thread([&] { log.warn("the query is slow"); }).get());
    }
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    ::unlink(path);
    CHECK(text.find(" info started\n") != std::string::npos);
    CHECK(text.find(" warning operation 12: the query is slow\n") != std::string::npos);
}

}  // namespace
}  // namespace cancelable::cli
