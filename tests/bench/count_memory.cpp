// Anonymous memory, in whole pages: so one operation's is that of many, divided. Pages of the program's file
// would count or not as others run it too, and as it has been written to the disk since it was built.
#include "tests/bench/counting.h"
#include "tests/bench/statistics.h"
#include "tests/bench/world.h"

namespace cancelable::bench {
namespace {

constexpr std::size_t kFirst = 20;  // that bring about threads and caches
constexpr std::size_t kOperations = 1000;
const Words kSleep{"sleep", "100000"};

}  // namespace

std::vector<Count> count_memory(const std::string& directory) {
    World world(directory + "/memory");
    world.start_operations(kFirst, "first", kSleep);
    world.run({"cancel", "first"});
    world.wait_until_released();
    const long before = anonymous_kib(world.supervisor());
    const pid_t last = world.start_operations(kOperations, "many", kSleep);
    settle(last, "sleep");
    const long after = anonymous_kib(world.supervisor());
    const double bytes = static_cast<double>(after - before) * 1024 / kOperations;
    return {{"memory.supervisor", bytes, 8}};
}

}  // namespace cancelable::bench
