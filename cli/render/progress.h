#pragma once

#include <cstddef>
#include <string>

#include "engine/operation.h"

namespace cancelable::cli {

// `40% epoch 4/10`. All of it only where nothing is left to do: 99.9 % is shown as 99%.
std::string progress_text(const Progress& progress);

// The line for a terminal, at most `columns` wide: the operation's name, a bar where there is room, the rest.
std::string progress_line(const std::string& name, const Progress& progress, std::size_t columns);

}  // namespace cancelable::cli
