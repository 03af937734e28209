#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "engine/loop.h"
#include "engine/store.h"

namespace cancelable {

// How much history is kept; logs go with their operations.
struct KeptHistory {
    std::size_t operations = 100'000;  // 0: any number
    std::chrono::milliseconds age{0};  // since they ended; 0: for ever
};

// Prunes the store by these rules: when it is made, and every now and then.
class Retention {
public:
    Retention(Loop& loop, Store& store, KeptHistory kept, std::function<void(const std::string&)> log);

private:
    void prune();

    Store& store_;
    KeptHistory kept_;
    std::function<void(const std::string&)> log_;  // may be empty
    Timer timer_;
};

}  // namespace cancelable
