#pragma once

#include <sys/types.h>

#include "engine/sources/expression.h"
#include "engine/sources/sampling.h"
#include "engine/sources/source.h"

namespace cancelable {

// Levels: what the tree below `shim` uses (rss, cpu, processes), or the machine (host-memory, host-load), is
// beyond a bound, and has been for as long as was asked for.
SourcePtr tree_usage_source(Sampling& sampling, pid_t shim, const SourceExpression& expression);
SourcePtr host_usage_source(Sampling& sampling, const SourceExpression& expression);

// "memory 2.1 GiB over 2 GiB for 5 s".
std::string beyond(const std::string& what, const std::string& value, const std::string& bound, bool is_below,
                   std::chrono::milliseconds hold);

}  // namespace cancelable
