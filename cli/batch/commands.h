#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/batch/reader.h"
#include "cli/batch/template.h"

namespace cancelable::cli {

// One operation of a batch, before it is one.
struct Job {
    std::size_t sequence = 0;  // from 1
    std::string argument;      // the line that it comes from; of several items the first
    std::vector<std::string> command;
};

// How a batch is written.
struct BatchForm {
    bool null_separated = false;
    std::vector<std::string> command;  // a template that each item is the argument of; empty: there is none
};

// Makes commands of what is read, one at a time.
//
//   lines, a template       a line is the argument; it comes last where no placeholder takes it
//   lines, no template      a line is a command, for a shell where it needs one; those that begin with # are
//                           passed over
//   items, a template       an item is the argument, whatever is in it
//   items, no template      an item is a word of a command, and an empty item ends the command
//
// Lines with nothing in them but blanks are passed over.
class Commands {
public:
    Commands(int fd, BatchForm form);

    // Nothing: more has to be read, or the input is over. An error names the line.
    Result<std::optional<Job>> next(std::size_t slot);

    // Whether a command says in which slot it runs.
    bool names_slot() const noexcept { return template_.takes_slot(); }

    Reader& reader() noexcept { return reader_; }
    const Reader& reader() const noexcept { return reader_; }
    bool is_over() const noexcept { return reader_.is_exhausted() && gathered_.empty(); }
    std::size_t count() const noexcept { return count_; }  // of those that were given out

private:
    bool is_passed_over(std::string_view line) const noexcept;
    std::optional<Job> gather(std::string_view item);
    Job job_of(std::string_view item, std::size_t slot);
    std::unexpected<Error> at_item(const Error& error) const;

    Reader reader_;
    BatchForm form_;
    Template template_;
    std::vector<std::string> gathered_;  // words of a command that has not ended
    std::size_t count_ = 0;
};

}  // namespace cancelable::cli
