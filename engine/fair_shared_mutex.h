#pragma once

#include <mutex>
#include <shared_mutex>

namespace cancelable {

// A shared mutex on which readers cannot starve a writer, as they can on the C library's: who waits, reader
// or writer, waits at a gate, so a writer has before it those readers that were in, and none that came later.
class FairSharedMutex {
public:
    void lock() {
        const std::lock_guard at_the_gate(gate_);
        inner_.lock();
    }
    void unlock() { inner_.unlock(); }
    void lock_shared() {
        const std::lock_guard at_the_gate(gate_);
        inner_.lock_shared();
    }
    void unlock_shared() { inner_.unlock_shared(); }

private:
    std::mutex gate_;
    std::shared_mutex inner_;
};

}  // namespace cancelable
