#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/process/error.h"

namespace cancelable::cli {

// How many operations of a batch run at a time: a number, or a share of the processors.
struct Jobs {
    std::size_t number = 100;
    bool is_percentage = true;

    std::size_t of(std::size_t processors) const noexcept;  // at least 1
};

Result<Jobs> parse_jobs(std::string_view text);
std::string to_text(const Jobs& jobs);

// Those that this process may use.
std::size_t processors() noexcept;

}  // namespace cancelable::cli
