#include "engine/kill_point.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace cancelable {

// CANCELABLE_TEST_KILL_AT=NAME,FILE: dies at that place, once: the one that removes FILE. So the supervisors
// that come after it live, though they have the same environment, and a test makes FILE when the time has
// come.
void kill_point(const char* name) noexcept {
    const char* wanted = std::getenv("CANCELABLE_TEST_KILL_AT");
    if (wanted == nullptr) return;
    const std::string_view text(wanted);
    const std::size_t comma = text.find(',');
    if (comma == std::string_view::npos || text.substr(0, comma) != name) return;
    if (::unlink(wanted + comma + 1) == 0) ::kill(::getpid(), SIGKILL);
}

}  // namespace cancelable
