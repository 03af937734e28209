#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cancelable {

// A signal as people write it: TERM, SIGTERM, 15, RTMIN, RTMIN+3, RTMAX-1, in any case. Nothing for what is
// no signal, for 0, and for the two real-time signals that the C library keeps to itself.
std::optional<int> parse_signal(std::string_view text) noexcept;

// "SIGTERM", "SIGRTMIN+3"; "SIG<number>" for a number that has no name.
std::string signal_name(int signal_number);

}  // namespace cancelable
