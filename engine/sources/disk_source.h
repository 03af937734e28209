#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "engine/loop.h"
#include "engine/sources/blocking_calls.h"
#include "engine/sources/source.h"

namespace cancelable {

// How full the file system of a path is, in percent of what an ordinary user may fill; nothing where it
// cannot be told. May hang as that file system does.
std::optional<double> disk_usage(const std::string& path);

// A level: the file system of `path` is fuller than that, for so long. A path that hangs or is not there is
// not full. `look` can be replaced by a test.
SourcePtr disk_source(Loop& loop, BlockingCalls& calls, std::string path, double percent,
                      std::chrono::milliseconds hold,
                      std::function<std::optional<double>(const std::string&)> look = disk_usage);

}  // namespace cancelable
