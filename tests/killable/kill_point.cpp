#include "engine/kill_point.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace cancelable {

// CANCELABLE_TEST_KILL_AT=NAME,FILE: dies at that place, once: the one that removes FILE. So the supervisors
// that come after it live, though they have the same environment, and a test makes FILE when the time has
// come. FILE.snapped then holds the pid of who died.
void kill_point(const char* name) noexcept {
    const char* wanted = std::getenv("CANCELABLE_TEST_KILL_AT");
    if (wanted == nullptr) return;
    const std::string_view text(wanted);
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos || text.substr(0, comma) != name) return;
    const char* file = wanted + comma + 1;
    if (std::ofstream pid(file, std::ios::in); !(pid << ::getpid() << std::flush)) return;
    if (std::rename(file, (std::string(file) + ".snapped").c_str()) == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace cancelable
