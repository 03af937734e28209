#pragma once

namespace cancelable {

// Gives back to the kernel what start-up needed and waiting does not: freed heap, and the pages of our own
// program, which come back from the page cache when they are used again. There is one shim for each
// operation, and nearly all of them do nothing but wait.
void give_memory_back() noexcept;

}  // namespace cancelable
