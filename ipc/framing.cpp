#include "ipc/framing.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "ipc/socket.h"

namespace cancelable::ipc {
namespace {

// One read takes at most this much, so that a peer that floods gets one turn like everybody else.
constexpr std::size_t kReadBytes = std::size_t{64} << 10;

// A buffer that once held a long message is not kept for the next short one.
constexpr std::size_t kKeptBytes = std::size_t{16} << 10;

}  // namespace

FrameReader::FrameReader(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

Result<FrameReader::Progress> FrameReader::read_from(int fd) {
    std::array<char, kReadBytes> chunk;
    std::vector<UniqueFd> arrived;
    const auto received = receive_some(fd, chunk, arrived);
    if (!received) return std::unexpected(received.error());
    if (received->would_block) return Progress::would_block;
    if (received->bytes == 0) return Progress::ended;
    if (auto fed = feed({chunk.data(), received->bytes}, std::move(arrived)); !fed)
        return std::unexpected(fed.error());
    return Progress::read;
}

Result<> FrameReader::feed(std::string_view bytes, std::vector<UniqueFd> descriptors) {
    if (auto accepted = accept_descriptors(std::move(descriptors)); !accepted) return accepted;
    make_room();
    buffer_.append(bytes);
    return check_line_lengths();
}

Result<> FrameReader::accept_descriptors(std::vector<UniqueFd> arrived) {
    if (descriptors_.size() + arrived.size() > kMaxDescriptors)
        return failure(ErrorCode::limit, "more than " + std::to_string(kMaxDescriptors) +
                                             " descriptors wait for a message that says what they are");
    descriptors_.insert(descriptors_.end(), std::make_move_iterator(arrived.begin()),
                        std::make_move_iterator(arrived.end()));
    return {};
}

// Drops the lines that have been given out.
void FrameReader::make_room() {
    if (start_ == 0) return;
    if (start_ == buffer_.size() && buffer_.capacity() > kKeptBytes)
        buffer_ = {};
    else
        buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
}

Result<> FrameReader::check_line_lengths() const {
    std::size_t line = start_;
    std::size_t from = scanned_;
    while (line < buffer_.size()) {
        const std::size_t end = std::min(buffer_.find('\n', from), buffer_.size());
        if (end - line > max_message_bytes_)
            return failure(ErrorCode::limit,
                           "a message is at most " + std::to_string(max_message_bytes_) + " bytes long");
        line = from = end + 1;
    }
    return {};
}

std::optional<std::string_view> FrameReader::next() {
    const std::size_t newline = buffer_.find('\n', scanned_);
    if (newline == std::string::npos) {
        scanned_ = buffer_.size();
        return std::nullopt;
    }
    const std::string_view line = std::string_view(buffer_).substr(start_, newline - start_);
    start_ = scanned_ = newline + 1;
    return line;
}

Result<std::vector<UniqueFd>> FrameReader::take_descriptors(std::size_t count) {
    if (count > descriptors_.size())
        return failure(ErrorCode::protocol, "a message lists " + std::to_string(count) +
                                                " descriptors and came with " +
                                                std::to_string(descriptors_.size()));
    const auto end = descriptors_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<UniqueFd> taken(std::make_move_iterator(descriptors_.begin()), std::make_move_iterator(end));
    descriptors_.erase(descriptors_.begin(), end);
    return taken;
}

OutputQueue::OutputQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

Result<> OutputQueue::push(std::string message, std::vector<UniqueFd> descriptors) {
    message.push_back('\n');
    const std::size_t size = message.size();
    if (bytes_ + size > max_bytes_)
        return failure(ErrorCode::limit, "more than " + std::to_string(max_bytes_) +
                                             " bytes wait for a peer that does not read");
    // Messages without descriptors join the one before them, and so go out in one call.
    if (segments_.empty() || !descriptors.empty())
        segments_.push_back({std::move(message), std::move(descriptors)});
    else
        segments_.back().bytes += message;
    bytes_ += size;
    return {};
}

Result<> OutputQueue::flush(int fd) {
    while (!segments_.empty()) {
        Segment& front = segments_.front();
        std::array<int, kMaxDescriptors> raw{};
        std::size_t count = 0;
        for (const UniqueFd& descriptor : front.descriptors)
            if (count < raw.size()) raw[count++] = descriptor.get();
        const auto sent =
            send_some(fd, std::string_view(front.bytes).substr(sent_of_front_), std::span(raw).first(count));
        if (!sent) return std::unexpected(sent.error());
        if (*sent == 0) {
            // What is gone need not be kept by a peer that reads slowly and never lets the queue run empty.
            front.bytes.erase(0, std::exchange(sent_of_front_, 0));
            return {};
        }
        front.descriptors.clear();  // They are on their way: no second copy with the rest of the bytes.
        sent_of_front_ += *sent;
        bytes_ -= *sent;
        if (sent_of_front_ < front.bytes.size()) continue;
        segments_.pop_front();
        sent_of_front_ = 0;
    }
    return {};
}

}  // namespace cancelable::ipc
