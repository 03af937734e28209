#pragma once

namespace cancelable::cli {

// Ends the process with this status and tears nothing down, which the kernel does at once: descriptors close,
// and neither memory nor signals are put in order for nobody. Whatever is to be written must have been.
//
// Sanitizers, which look for leaks at the end, get their end.
[[noreturn]] void leave(int status) noexcept;

}  // namespace cancelable::cli
