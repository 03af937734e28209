#pragma once

namespace cancelable {

// A place where the supervisor can be made to die, for tests of what the next one finds.
//
// Here it is an empty function. A test program that defines it in its own sources has that one linked in its
// place; see tests/killable.
void kill_point(const char* name) noexcept;

}  // namespace cancelable
