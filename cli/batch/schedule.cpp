#include "cli/batch/schedule.h"

#include <algorithm>

namespace cancelable::cli {
namespace {

constexpr std::size_t kMostCounted = 100;

}  // namespace

void Schedule::ended(Ending how) noexcept {
    --live_;
    ++(how == Ending::completed ? tally_.completed
       : how == Ending::failed  ? tally_.failed
                                : tally_.cancelled);
    if (halted_ || !halt_.is_reached(tally_)) return;
    halted_ = true;
    advance(halt_.when == Halt::When::now ? Stage::ending : Stage::stopping);
}

int Schedule::exit_status() const noexcept {
    if (halted_ && halt_.what == Halt::What::success) return 0;
    return static_cast<int>(std::min(tally_.failed, kMostCounted + 1));
}

void Schedule::advance(Stage stage) noexcept {
    stage_ = std::max(stage_, stage);
}

}  // namespace cancelable::cli
