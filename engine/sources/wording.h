#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cancelable {

// Quantities as messages of sources say them, to be read and to be compared with what was asked for.
std::string spoken(std::chrono::milliseconds duration);  // 60 s, 1.5 s, 250 ms
std::string spoken_size(std::uint64_t bytes);            // 2 GiB, 2.1 GiB, 512 MiB
std::string spoken_number(double number);                // 12, 12.3

}  // namespace cancelable
