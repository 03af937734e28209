#include "cli/batch/printer.h"

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace cancelable::cli {
namespace {

// What a pipe that is ready for writing takes for sure.
constexpr std::size_t kPage = 4096;

constexpr std::size_t kBuffer = std::size_t{64} << 10;

// After so much it is somebody else's turn: a signal's.
constexpr std::size_t kBudget = std::size_t{4} << 20;

bool takes_something(int fd) noexcept {
    pollfd sink{fd, POLLOUT, 0};
    // Also where nobody will ever read it: the write says so.
    return ::poll(&sink, 1, 0) > 0;
}

bool is_empty(const UniqueFd& file) noexcept {
    struct stat status{};
    return ::fstat(file.get(), &status) == 0 && status.st_size == 0;
}

}  // namespace

Printer::Printer(SpoolPool& pool, int out, int err, bool in_order)
    : pool_(pool),
      out_(sink_for(out, "standard output")),
      err_(sink_for(err, "standard error")),
      in_order_(in_order),
      buffer_(kBuffer) {}

Printer::Sink Printer::sink_for(int fd, const char* name) {
    struct stat status{};
    return {fd, ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode), name};
}

void Printer::ended(std::size_t sequence, Output output) {
    // Most have nothing to say. Their files are free for the next at once, also where they have to wait.
    if (output.spool && output.is_ours && is_empty(output.spool.out) && is_empty(output.spool.err))
        pool_.give_back_unused(std::exchange(output.spool, {}));
    if (!in_order_) return enqueue(std::move(output));
    early_.emplace(sequence, std::move(output));
    for (auto next = early_.begin(); next != early_.end() && next->first == next_; next = early_.begin()) {
        enqueue(std::move(next->second));
        early_.erase(next);
        ++next_;
    }
}

void Printer::enqueue(Output output) {
    if (output.spool || !output.note.empty()) ready_.push_back(std::move(output));
}

Result<> Printer::advance() {
    blocked_on_ = -1;
    budget_ = kBudget;
    while (!ready_.empty()) {
        const auto is_passed_on = pass_front_on();
        if (!is_passed_on) return std::unexpected(is_passed_on.error());
        if (!*is_passed_on) return {};
        Output& front = ready_.front();
        if (front.is_ours)
            pool_.give_back(std::move(front.spool));
        else
            pool_.drop(std::move(front.spool));
        ready_.pop_front();
    }
    return {};
}

// False: it has to wait for the descriptor that it is blocked on.
Result<bool> Printer::pass_front_on() {
    const Output& front = ready_.front();
    for (;;) {
        const auto done = part_ == Part::note  ? write_text(front.note, err_)
                          : !front.spool       ? Result<bool>(true)
                          : part_ == Part::out ? copy(front.spool.out.get(), out_)
                                               : copy(front.spool.err.get(), err_);
        if (!done || !*done) return done;
        const bool was_last = part_ == Part::note;
        part_ = was_last ? Part::out : part_ == Part::out ? Part::err : Part::note;
        done_ = 0;
        buffered_ = 0;
        if (was_last) return true;
    }
}

Result<bool> Printer::copy(int from, const Sink& to) {
    struct stat status{};
    if (::fstat(from, &status) != 0) return system_error("cannot look at what an operation has written");
    if (to.is_file && status.st_size > done_) {
        const auto copied = copy_to_file(from, to, status.st_size);
        if (copied || copied.error().os_errno != EINVAL) return copied;
        // The kernel does not copy between these two (a file that is appended to, for one).
    }
    while (done_ < status.st_size) {
        const auto piece = read_piece(from);
        if (!piece) return std::unexpected(piece.error());
        if (piece->empty()) break;  // it has been cut short meanwhile
        const auto written = write_some(*piece, to);
        if (!written) return std::unexpected(written.error());
        if (*written == 0) return false;
    }
    return true;
}

Result<bool> Printer::copy_to_file(int from, const Sink& to, off_t size) {
    while (done_ < size) {
        if (budget_ == 0) {
            blocked_on_ = to.fd;
            return false;
        }
        const std::size_t most = std::min<std::size_t>(budget_, static_cast<std::size_t>(size - done_));
        const ssize_t copied = retry_eintr([&] { return ::sendfile(to.fd, from, &done_, most); });
        if (copied < 0) return system_error(std::string("cannot write to the ") + to.name);
        if (copied == 0) break;
        budget_ -= static_cast<std::size_t>(copied);
    }
    return true;
}

// What is at done_; nothing where the file ends there.
Result<std::string_view> Printer::read_piece(int from) {
    const bool is_buffered =
        done_ >= buffer_at_ && done_ < buffer_at_ + static_cast<off_t>(buffered_) && buffered_ > 0;
    if (!is_buffered) {
        const ssize_t got = retry_eintr([&] { return ::pread(from, buffer_.data(), buffer_.size(), done_); });
        if (got < 0) return system_error("cannot read what an operation has written");
        buffer_at_ = done_;
        buffered_ = static_cast<std::size_t>(got);
    }
    const auto offset = static_cast<std::size_t>(done_ - buffer_at_);
    return std::string_view(buffer_.data() + offset, buffered_ - offset);
}

Result<bool> Printer::write_text(std::string_view text, const Sink& to) {
    while (static_cast<std::size_t>(done_) < text.size()) {
        const auto written = write_some(text.substr(static_cast<std::size_t>(done_)), to);
        if (!written) return std::unexpected(written.error());
        if (*written == 0) return false;
    }
    return true;
}

// 0: it is to be waited for.
Result<std::size_t> Printer::write_some(std::string_view text, const Sink& to) {
    if (budget_ == 0 || (!to.is_file && !takes_something(to.fd))) {
        blocked_on_ = to.fd;
        return std::size_t{0};
    }
    const std::size_t most = std::min(text.size(), to.is_file ? budget_ : std::min(budget_, kPage));
    const ssize_t written = retry_eintr([&] { return ::write(to.fd, text.data(), most); });
    if (written < 0 && errno == EAGAIN) {
        // Somebody has made it non-blocking, or was quicker.
        blocked_on_ = to.fd;
        return std::size_t{0};
    }
    if (written < 0) return system_error(std::string("cannot write to the ") + to.name);
    done_ += written;
    budget_ -= static_cast<std::size_t>(written);
    return static_cast<std::size_t>(written);
}

}  // namespace cancelable::cli
