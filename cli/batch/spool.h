#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/process/fd.h"

namespace cancelable::cli {

// Where one operation's output goes until it is passed on: two files without names.
struct Spool {
    UniqueFd out;
    UniqueFd err;

    explicit operator bool() const noexcept { return static_cast<bool>(out); }
};

// Makes spools, and keeps those that were used for the next operation: making a file costs more than
// emptying it.
class SpoolPool {
public:
    // `directory`: where they are made. At most so many are out at a time.
    SpoolPool(std::string directory, std::size_t most);

    bool has_one() const noexcept { return out_ < most_; }

    // Empty ones, to be appended to.
    Result<Spool> take();

    // Only those that nobody else holds any more may come back; the others are dropped.
    void give_back(Spool spool);
    void give_back_unused(Spool spool);  // nothing has been written to it
    void drop(Spool spool);

    std::size_t out() const noexcept { return out_; }

private:
    Result<UniqueFd> make_file() const;

    std::string directory_;
    std::size_t most_;
    std::size_t out_ = 0;
    std::vector<Spool> free_;
};

// $TMPDIR, or /tmp.
std::string temporary_directory();

}  // namespace cancelable::cli
