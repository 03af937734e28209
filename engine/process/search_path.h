#pragma once

#include <string>
#include <vector>

namespace cancelable {

// The paths at which execvp would look for `command`, in order, with the PATH of `environment` (KEY=VALUE). A
// command with a slash is its own and only candidate.
std::vector<std::string> search_path(const std::string& command, const std::vector<std::string>& environment);

}  // namespace cancelable
