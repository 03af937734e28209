#include "cli/leave.h"

#include <unistd.h>

#include <cstdlib>

namespace cancelable::cli {

void leave(int status) noexcept {
#ifdef CANCELABLE_SANITIZED
    std::exit(status);
#else
    ::_exit(status);
#endif
}

}  // namespace cancelable::cli
