#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/process/error.h"

namespace cancelable::cli {

// Cuts what is read from a descriptor into items that end with a certain byte; the last may end with the
// input.
//
// It reads no further than it must: an endless input is fine, and memory is bounded by the longest item.
class Reader {
public:
    Reader(int fd, char end_of_item);

    // The next item, without its end. Nothing: more has to be read, or the input is over. Valid until the
    // next call of anything here. An item longer than kLongestItem is an error.
    Result<std::optional<std::string_view>> next();

    // Reads once: blocks where nothing is there.
    Result<> read_more();

    // Whether read_more() would be of any use.
    bool is_over() const noexcept { return is_over_; }

    // Whether every item has been given out.
    bool is_exhausted() const noexcept { return is_over_ && start_ == buffer_.size(); }

    int fd() const noexcept { return fd_; }
    std::uint64_t items() const noexcept { return items_; }           // that were given out
    std::uint64_t bytes_taken() const noexcept { return consumed_; }  // by them

    static constexpr std::size_t kLongestItem = std::size_t{1} << 20;

private:
    std::string_view take(std::size_t end, std::size_t length_of_end);

    int fd_;
    char end_of_item_;
    std::string buffer_;
    std::size_t start_ = 0;
    std::size_t scanned_ = 0;  // up to here there is no end after start_
    bool is_over_ = false;
    std::uint64_t items_ = 0;
    std::uint64_t consumed_ = 0;
};

}  // namespace cancelable::cli
