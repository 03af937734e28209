#pragma once

#include <functional>
#include <string>

namespace cancelable::bench {

// Runs `work` in a child process, with a new directory under /tmp, and returns its exit status. However it
// ends, also by Ctrl-C, SIGTERM or SIGKILL of the child: afterwards nothing that it has started is left, and
// the directory is gone. An exception in `work` is written to stderr, as status 1.
int run_guarded(const std::function<int(const std::string& directory)>& work);

// A second directory of the same life, in memory: where runtime directories lie on a machine that people use.
// Within `work` only.
const std::string& memory_directory();

// A third, beside what was built: for copies of the programs.
const std::string& installation_directory();

}  // namespace cancelable::bench
