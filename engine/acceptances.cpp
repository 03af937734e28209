#include "engine/acceptances.h"

#include <algorithm>

#include "engine/shim/acceptance.h"

namespace cancelable {
namespace {

// Ends are written down together, and the next beginnings come one by one.
constexpr std::size_t kMost = 64;

}  // namespace

Acceptances::Acceptances(Loop& loop, int directory, std::chrono::milliseconds look)
    : directory_(directory), look_(look), timer_(loop, [this] {
          remove_oldest(unneeded_);
          unneeded_ = spare_.size();
          if (!spare_.empty()) timer_.start(look_);
      }) {}

Acceptances::~Acceptances() {
    remove_oldest(spare_.size());
}

Result<> Acceptances::write(const OperationSpec& spec) {
    while (!spare_.empty()) {
        const OperationId over = spare_.back();
        spare_.pop_back();
        unneeded_ = std::min(unneeded_, spare_.size());
        // Its shim may have removed it.
        if (write_acceptance_over(directory_, over, spec)) return {};
    }
    return write_acceptance(directory_, spec);
}

void Acceptances::over(OperationId id) {
    if (spare_.size() == kMost) return remove_beginning(directory_, id);
    spare_.push_back(id);
    if (timer_.is_active()) return;
    unneeded_ = spare_.size();
    timer_.start(look_);
}

void Acceptances::remove_oldest(std::size_t count) noexcept {
    for (; count > 0; --count, spare_.pop_front())
        remove_beginning(directory_, spare_.front());
}

}  // namespace cancelable
