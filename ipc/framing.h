#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "engine/process/fd.h"

namespace cancelable::ipc {

// The longest message, without its newline, and the most that may wait for a peer that does not read.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{8} << 20;
inline constexpr std::size_t kMaxUnreadBytes = std::size_t{8} << 20;

// Cuts a stream of bytes into lines, however it arrives in pieces, and keeps the descriptors that came with
// it.
//
// Descriptors queue in the order they were sent, and each message takes as many as it says it has. Since they
// ride on the first byte of their message, they are always here before its line is complete.
class FrameReader {
public:
    explicit FrameReader(std::size_t max_message_bytes = kMaxMessageBytes);

    enum class Progress { read, would_block, ended };

    // Reads once from a socket. Fails where a bound is passed (ErrorCode::limit) or the socket is broken: the
    // connection is of no use then.
    Result<Progress> read_from(int fd);

    // The same for bytes from elsewhere.
    Result<> feed(std::string_view bytes, std::vector<UniqueFd> descriptors = {});

    // The next complete line without its newline, or nothing. Valid until the next call of this, feed or
    // read_from.
    std::optional<std::string_view> next();

    // The first `count` of the descriptors that wait. ErrorCode::protocol where there are fewer.
    Result<std::vector<UniqueFd>> take_descriptors(std::size_t count);
    std::size_t waiting_descriptors() const noexcept { return descriptors_.size(); }

    // True where a line has begun and not ended.
    bool has_partial_line() const noexcept { return start_ < buffer_.size(); }

private:
    Result<> accept_descriptors(std::vector<UniqueFd> arrived);
    Result<> check_line_lengths() const;
    void make_room();

    std::size_t max_message_bytes_;
    std::string buffer_;
    std::size_t start_ = 0;    // of the line that next() gives
    std::size_t scanned_ = 0;  // up to here there is no newline after start_
    std::deque<UniqueFd> descriptors_;
};

// What is to be sent, as far as the kernel has not taken it yet.
class OutputQueue {
public:
    explicit OutputQueue(std::size_t max_bytes = kMaxUnreadBytes);

    // Adds a message and its newline. ErrorCode::limit where more than the bound would wait: the message is
    // then not added.
    Result<> push(std::string message, std::vector<UniqueFd> descriptors = {});

    // Sends what the kernel takes without blocking; what it does not take stays.
    Result<> flush(int fd);

    bool empty() const noexcept { return bytes_ == 0; }
    std::size_t size_bytes() const noexcept { return bytes_; }

private:
    // Bytes that go out together; the descriptors ride on the first of them.
    struct Segment {
        std::string bytes;
        std::vector<UniqueFd> descriptors;
    };

    std::size_t max_bytes_;
    std::size_t bytes_ = 0;
    std::size_t sent_of_front_ = 0;
    std::deque<Segment> segments_;
};

}  // namespace cancelable::ipc
