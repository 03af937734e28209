// Linked into the programs of builds with AddressSanitizer only.
//
// At its exit a process waits until LeakSanitizer's tracer has seen it stop, and a SIGCONT at that moment
// undoes the stop: both then wait for ever. Whatever is part of an operation gets a SIGCONT when it is ended,
// and so does a shim. So leaks are looked for where nobody sends one: in supervisors, and in clients outside
// of operations.
#include <unistd.h>

#include <cstdlib>

extern "C" int
__lsan_is_turned_off();  // NOLINT(bugprone-reserved-identifier): the sanitizer asks by this name

int __lsan_is_turned_off() {
    const bool is_shim = environ == nullptr || *environ == nullptr;  // which is started without a variable
    return is_shim || std::getenv("CANCELABLE_OPERATION_ID") != nullptr ||
                   std::getenv("CANCELABLE_SIDE_COMMAND") != nullptr
               ? 1
               : 0;
}
