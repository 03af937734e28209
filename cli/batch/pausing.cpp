#include "cli/batch/pausing.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

// How long a Ctrl-Z waits for somebody who can pause the operations.
constexpr std::chrono::seconds kPatience{2};

}  // namespace

Result<bool> BatchPausing::advance(const std::vector<OperationId>& ids, bool all_known) {
    const auto now = std::chrono::steady_clock::now();
    const bool is_asked = suspension_.is_asked();  // which a signal may change at any moment
    if (!is_asked) stop_by_.reset();
    if (is_asked && !stop_by_) stop_by_ = now + kPatience;
    const bool is_impatient = pause_request_ != 0 && suspension_.count() > stops_seen_;
    if (is_still_ || is_impatient) return true;
    if (!connection_.is_up()) return stop_by_ && now >= *stop_by_;
    if (resume_is_due_) {
        resume_is_due_ = false;
        if (auto sent = send("operation.resume", ids, resume_request_); !sent)
            return std::unexpected(sent.error());
    }
    if (!is_asked || pause_request_ != 0) return false;
    if (!all_known && now < *stop_by_) return false;
    if (ids.empty()) return true;
    stops_seen_ = suspension_.count();
    if (auto sent = send("operation.pause", ids, pause_request_); !sent) return std::unexpected(sent.error());
    return false;
}

Result<> BatchPausing::send(std::string_view method, const std::vector<OperationId>& ids,
                            std::uint64_t& request) {
    if (ids.empty()) return {};
    ipc::PauseParams params;
    params.selector.ids = ids;
    const auto sent = connection_.send(method, ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    request = *sent;
    return {};
}

void BatchPausing::stop() noexcept {
    pause_request_ = 0;
    is_still_ = false;
    stop_by_.reset();
    suspension_.stop();
    resume_is_due_ = true;
}

// They are still, or cannot be made so, or have ended: in each case it is our turn.
bool BatchPausing::take(const ipc::Response& response) noexcept {
    if (response.request == 0) return false;
    if (response.request == resume_request_) {
        resume_request_ = 0;
        return true;
    }
    if (response.request != pause_request_) return false;
    is_still_ = true;
    return true;
}

void BatchPausing::renewed() noexcept {
    pause_request_ = 0;
    if (std::exchange(resume_request_, 0) != 0) resume_is_due_ = true;
}

}  // namespace cancelable::cli
