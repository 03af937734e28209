#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/batch/spool.h"

namespace cancelable::cli {

// What an operation has left to be passed on.
struct Output {
    Spool spool;          // nothing: it has gone elsewhere
    bool is_ours = true;  // nobody else has the files any more
    std::string note;     // for a person, behind what the operation itself has written to stderr
};

// Passes the output of operations on, one after the other, each whole: first what it wrote to stdout, then
// what it wrote to stderr.
//
// It never blocks for longer than a full pipe takes a page, so that signals are heard while nobody reads.
class Printer {
public:
    // `in_order`: in that of the sequence; else in the order in which they end.
    Printer(SpoolPool& pool, int out, int err, bool in_order);

    // Sequences go from 1 without a gap; each is told once.
    void ended(std::size_t sequence, Output output);

    // Passes on what is taken at once. An error is final: os_errno is EPIPE where nobody will ever read it.
    Result<> advance();

    bool is_done() const noexcept { return ready_.empty(); }

    // To poll for writing before advance() gets further; -1: there is nothing to do.
    int blocked_on() const noexcept { return blocked_on_; }

private:
    struct Sink {
        int fd;
        bool is_file;      // which takes everything at once
        const char* name;  // for people
    };
    static Sink sink_for(int fd, const char* name);
    void enqueue(Output output);
    Result<bool> pass_front_on();
    Result<bool> copy(int from, const Sink& to);
    Result<bool> copy_to_file(int from, const Sink& to, off_t size);
    Result<bool> write_text(std::string_view text, const Sink& to);
    Result<std::size_t> write_some(std::string_view text, const Sink& to);
    Result<std::string_view> read_piece(int from);

    SpoolPool& pool_;
    Sink out_;
    Sink err_;
    bool in_order_;
    std::size_t next_ = 1;
    std::map<std::size_t, Output> early_;  // ended before one that comes first
    std::deque<Output> ready_;
    int blocked_on_ = -1;

    // Of the front of ready_:
    enum class Part : std::uint8_t { out, err, note } part_ = Part::out;
    off_t done_ = 0;  // bytes of that part

    std::size_t budget_ = 0;  // bytes that this call may still pass on
    std::vector<char> buffer_;
    off_t buffer_at_ = 0;  // what it holds begins here in the front's file
    std::size_t buffered_ = 0;
};

}  // namespace cancelable::cli
