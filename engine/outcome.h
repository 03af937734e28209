#pragma once

#include "engine/operation.h"
#include "engine/shim/channel.h"

namespace cancelable {

// What a shim reports, as it changes an operation's record: the status too, for which the record must already
// have left `pending` where the command was started. Pure.
void apply_report(Operation& operation, const ShimReport& report);

}  // namespace cancelable
