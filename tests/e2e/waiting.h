#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

namespace cancelable::e2e {

// How long anything may take before a test gives up. No test judges by it: it only keeps a broken program
// from holding up the rest, so it is far beyond what a slow machine under a sanitizer needs.
inline constexpr std::chrono::seconds kPatience{120};

struct Impatient : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Deadline {
public:
    explicit Deadline(std::chrono::milliseconds patience = kPatience)
        : end_(std::chrono::steady_clock::now() + patience) {}

    // For poll(); never negative.
    int remaining_ms() const;
    bool passed() const { return std::chrono::steady_clock::now() >= end_; }

private:
    std::chrono::steady_clock::time_point end_;
};

// For states that announce themselves to nobody (those in /proc): looks until it holds. Throws Impatient.
void wait_until(const std::string& what, const std::function<bool()>& holds);

// Waits until the descriptor is readable or hung up; false when the deadline passed first.
bool wait_readable(int fd, const Deadline& deadline);

}  // namespace cancelable::e2e
