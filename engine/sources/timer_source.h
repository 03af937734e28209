#pragma once

#include <chrono>

#include "engine/loop.h"
#include "engine/process/wall_time.h"
#include "engine/sources/source.h"

namespace cancelable {

// An edge: so long after it was started. `limit` is for the message, where some of the time was over before.
SourcePtr timeout_source(Loop& loop, std::chrono::milliseconds after, std::chrono::milliseconds limit);
inline SourcePtr timeout_source(Loop& loop, std::chrono::milliseconds after) {
    return timeout_source(loop, after, after);
}

// An edge: at a point of the wall clock, also where that is set meanwhile, or the machine has slept.
SourcePtr deadline_source(Loop& loop, WallTime at);

}  // namespace cancelable
