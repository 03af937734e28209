#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/options.h"
#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/selector.h"

namespace cancelable::cli {

// What `--all` means to a verb.
enum class AllMeans : std::uint8_t {
    every_operation,  // it is a selector
    something_else,   // the verb declares it itself
};

// The options that pick operations, the same for every verb that picks any.
class SelectorOptions {
public:
    void add_to(Options& options, AllMeans all_means);

    // After the options were parsed.
    Selector selector() const;

private:
    Selector said_;
    std::vector<std::string> words_;
};

// One of a status' names; else its error suggests the nearest.
Result<Status> parse_status_word(const std::string& word);

// A word of digits is an id, 0 is none.
Result<OperationId> parse_id(const std::string& word);

}  // namespace cancelable::cli
