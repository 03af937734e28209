#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/operation.h"

namespace cancelable {

// Shell wildcards: * ? [a-z]; a star also matches a slash and a leading dot.
bool glob_matches(const std::string& pattern, const std::string& text) noexcept;

// Which operations are meant. The positional part (ids and globs) is any-of, everything else narrows it.
struct Selector {
    std::vector<OperationId> ids{};
    std::vector<std::string> globs{};  // on the name
    bool all = false;                  // said outright: everything that the rest lets through

    std::optional<std::string> name{};                      // glob
    Tags tags{};                                            // each must be there with this value
    std::vector<Status> statuses{};                         // any of; empty: every one
    std::optional<std::chrono::milliseconds> older_than{};  // age since it was accepted
    std::optional<std::chrono::milliseconds> newer_than{};
    std::optional<OperationId> parent{};
    std::optional<WallTime> since{};  // accepted then or later
    std::optional<WallTime> until{};  // accepted then or before

    // True where nothing at all was said.
    bool empty() const noexcept;

    // A selector that says nothing matches everything: whether that is allowed is the caller's to decide.
    bool matches(const Operation& operation, WallTime now) const noexcept;
};

}  // namespace cancelable
