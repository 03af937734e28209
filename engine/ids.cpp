#include "engine/ids.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>
#include <string>

namespace cancelable {
namespace {

constexpr const char* kFileName = "ids";
constexpr OperationId kBlock = 64;

// The file holds one number in text: the last id that is reserved. Locked from opening to closing.
class Ledger {
public:
    static Result<Ledger> open(int directory) {
        if (directory < 0) return failure(ErrorCode::system, "no directory for the ids");
        UniqueFd file(::openat(directory, kFileName, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!file) return system_error("cannot open the file of ids");
        if (retry_eintr([&] { return ::flock(file.get(), LOCK_EX); }) != 0)
            return system_error("cannot lock the file of ids");
        return Ledger(std::move(file));
    }

    // 0 where nothing can be made of what is there: the other file then decides.
    OperationId last() const noexcept {
        char text[32];
        const ssize_t length = retry_eintr([&] { return ::pread(file_.get(), text, sizeof text, 0); });
        if (length <= 0) return 0;
        OperationId value = 0;
        const auto [end, error] = std::from_chars(text, text + length, value);
        const bool is_whole = error == std::errc{} && (end == text + length || *end == '\n');
        return is_whole && value <= kLastId ? value : 0;
    }

    Result<> store(OperationId value) {
        // Fixed width, so that a longer old number never shows behind a shorter new one, and no moment is
        // without one.
        std::string text = std::to_string(value);
        text.insert(text.begin(), 20 - text.size(), '0');
        text += '\n';
        const ssize_t written =
            retry_eintr([&] { return ::pwrite(file_.get(), text.data(), text.size(), 0); });
        if (written != static_cast<ssize_t>(text.size())) return system_error("cannot write the file of ids");
        return {};
    }

private:
    explicit Ledger(UniqueFd file) : file_(std::move(file)) {}
    UniqueFd file_;
};

}  // namespace

IdSource::IdSource(int runtime_directory, int state_directory) noexcept
    : runtime_directory_(runtime_directory), state_directory_(state_directory) {}

IdSource::~IdSource() {
    if (next_ > reserved_until_) return;
    for (const int directory : {runtime_directory_, state_directory_}) {
        auto ledger = Ledger::open(directory);
        // Only where nobody has reserved behind us.
        if (ledger && ledger->last() == reserved_until_) static_cast<void>(ledger->store(next_ - 1));
    }
}

Result<OperationId> IdSource::next() {
    if (next_ > reserved_until_) {
        if (auto reserved = reserve(); !reserved) return std::unexpected(reserved.error());
    }
    return next_++;
}

void IdSource::skip_to(OperationId used) noexcept {
    if (used > kLastId) return;
    next_ = std::max(next_, used + 1);
    for (const int directory : {runtime_directory_, state_directory_}) {
        auto ledger = Ledger::open(directory);
        if (ledger && ledger->last() < used) static_cast<void>(ledger->store(used));
    }
}

Result<> IdSource::reserve() {
    // Both locks are held until both files are written; always in this order.
    auto runtime = Ledger::open(runtime_directory_);
    auto state = Ledger::open(state_directory_);
    OperationId last = next_ - 1;
    if (runtime) last = std::max(last, runtime->last());
    if (state) last = std::max(last, state->last());
    const OperationId until = last + kBlock;
    const auto in_runtime = runtime ? runtime->store(until) : Result<>(std::unexpected(runtime.error()));
    const auto in_state = state ? state->store(until) : Result<>(std::unexpected(state.error()));
    if (!in_runtime && !in_state) return std::unexpected(in_state.error());
    next_ = last + 1;
    reserved_until_ = until;
    return {};
}

}  // namespace cancelable
