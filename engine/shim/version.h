#pragma once

#include <cstdint>

namespace cancelable {

// The version of what supervisor and shim write for each other: descriptions, commands, reports, records.
//
//   1   0.1.0; carries no number
//   2   carries its number, behind the fields of 1
//
// Both sides may be of either version: an upgrade replaces the programs while shims run on, and a supervisor
// of before can come after one of today. So the number never makes anybody refuse a packet. A reader passes
// over what it doesn't know, takes what is missing as nothing, and asks for the number only where the other
// side must be able to do something before it is asked for it.
inline constexpr std::uint32_t kFirstVersion = 1;
inline constexpr std::uint32_t kChannelVersion = 2;

}  // namespace cancelable
