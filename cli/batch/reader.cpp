#include "cli/batch/reader.h"

#include <unistd.h>

#include "engine/process/fd.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;

}  // namespace

Reader::Reader(int fd, char end_of_item) : fd_(fd), end_of_item_(end_of_item) {}

Result<std::optional<std::string_view>> Reader::next() {
    const auto end = buffer_.find(end_of_item_, scanned_);
    if (end != buffer_.npos) return take(end, 1);
    scanned_ = buffer_.size();
    if (scanned_ - start_ > kLongestItem) return failure(ErrorCode::limit, "it is longer than 1 MiB");
    if (is_over_ && scanned_ > start_) return take(scanned_, 0);
    return std::nullopt;
}

std::string_view Reader::take(std::size_t end, std::size_t length_of_end) {
    const std::string_view item(buffer_.data() + start_, end - start_);
    start_ = scanned_ = end + length_of_end;
    consumed_ += item.size() + length_of_end;
    ++items_;
    return item;
}

Result<> Reader::read_more() {
    if (is_over_) return {};
    buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
    const std::size_t had = buffer_.size();
    buffer_.resize(had + kPiece);
    const ssize_t got = retry_eintr([&] { return ::read(fd_, buffer_.data() + had, kPiece); });
    buffer_.resize(had + static_cast<std::size_t>(got > 0 ? got : 0));
    // Somebody else who reads from it may have been quicker.
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0) return system_error("cannot read the batch");
    is_over_ = got == 0;
    return {};
}

}  // namespace cancelable::cli
