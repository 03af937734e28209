#pragma once

#include <span>
#include <string>
#include <string_view>

namespace cancelable::cli {

// The known word that `typed` was most likely meant to be: the closest by insertions, deletions, changes and
// swaps of neighbours, or one that it begins. Empty where none is close.
std::string nearest_word(std::string_view typed, std::span<const std::string_view> known);

// `; did you mean "list"?`, or nothing where no known word is close.
std::string did_you_mean(std::string_view typed, std::span<const std::string_view> known);

}  // namespace cancelable::cli
