#include "tests/bench/rows.h"

namespace cancelable::bench {

std::span<const Group> groups() {
    static const std::vector<Group> all{
        {{"run"}, measure_run},          {{"batch-xargs", "batch-parallel"}, measure_batch},
        {{"cancel"}, measure_cancel},    {{"cancel-glob"}, measure_glob},
        {{"cancel-tree"}, measure_tree}, {{"run-among", "cancel-among", "list", "memory"}, measure_many},
        {{"shim"}, measure_shim},        {{"idle"}, measure_idle},
    };
    return all;
}

}  // namespace cancelable::bench
