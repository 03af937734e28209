// The engine without processes: a real registry, and operations that change when the test says so.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ipc/operations.h"

namespace cancelable::ipc::testing {

class FakeOperations : public Operations {
public:
    explicit FakeOperations(EventLog::Limits events = {}) : events_(events) {}

    Result<Snapshot> run(RunRequest request) override {
        if (refuse_next) return std::unexpected(*std::exchange(refuse_next, std::nullopt));
        auto spec = std::make_shared<OperationSpec>(request.spec);
        spec->id = ++last_id_;
        spec->created_at = std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
        last_request = std::move(request);
        Operation operation;
        operation.spec = std::move(spec);
        operation.status = Status::pending;
        registry_.register_operation(std::move(operation));
        if (hold_starts) return registry_.get_operation(last_id_);
        return change(last_id_, [](Operation& started) { started.status = Status::running; });
    }

    // What run() leaves pending while hold_starts is set.
    void start(OperationId id) {
        change(id, [](Operation& started) { started.status = Status::running; });
    }

    std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request) override {
        cancel_requests.push_back(request);
        std::vector<OperationId> ids;
        for (const Snapshot& snapshot : registry_.list(selector)) {
            ids.push_back(snapshot->id());
            if (snapshot->status == Status::cancelling) continue;
            change(ids.back(), [&](Operation& operation) {
                operation.status = Status::cancelling;
                Cancelation cancelation;
                cancelation.reason = request.reason;
                cancelation.message = request.message;
                cancelation.by = request.by;
                operation.cancelation = std::make_shared<const Cancelation>(cancelation);
            });
        }
        return ids;
    }

    Result<OperationId> operation_of(pid_t pid, int) override {
        if (surrounding) return *surrounding;
        return failure(ErrorCode::not_found, "process " + std::to_string(pid) + " is gone");
    }

    std::vector<OperationId> signal(const Selector& selector, int signal_number, bool tree,
                                    const Requester& by) override {
        last_signal_by = by;
        std::vector<OperationId> ids;
        for (const Snapshot& snapshot : registry_.list(selector)) {
            ids.push_back(snapshot->id());
            signals.emplace_back(ids.back(), signal_number);
            signal_was_for_tree = tree;
        }
        return ids;
    }

    std::vector<OperationId> set_paused(const Selector& selector, bool paused,
                                        Supervisor::PauseDone done) override {
        std::vector<OperationId> ids;
        for (const Snapshot& snapshot : registry_.list(selector)) {
            ids.push_back(snapshot->id());
            if ((snapshot->status == Status::paused) == paused) continue;
            change(ids.back(), [&](Operation& operation) {
                operation.status = paused ? Status::paused : Status::running;
            });
        }
        pause_done = [done = std::move(done), ids] { done(ids); };
        return ids;
    }

    Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder) override {
        if (!registry_.get_operation(id)) return failure(ErrorCode::not_found, "there is no such operation");
        shields.push_back({id, limit, std::move(holder)});
        return {};
    }

    Result<> progress(OperationId id, double fraction, std::string text) override {
        if (!registry_.get_operation(id)) return failure(ErrorCode::not_found, "there is no such operation");
        const auto said = std::make_shared<const Progress>(Progress{fraction, std::move(text), wall_now()});
        change(id, [&](Operation& operation) { operation.progress = said; });
        return {};
    }

    Result<> result(OperationId id, std::string bytes) override {
        if (!registry_.get_operation(id)) return failure(ErrorCode::not_found, "there is no such operation");
        const auto kept = std::make_shared<const std::string>(std::move(bytes));
        change(id, [&](Operation& operation) { operation.result = kept; });
        return {};
    }

    std::vector<HookFailure> hook_failures(OperationId) const override { return failed_hooks; }

    std::uint64_t when_settled(OperationId id, Supervisor::Settled callback) override {
        const Snapshot snapshot = registry_.get_operation(id);
        const std::uint64_t number = ++last_callback_;
        if (!snapshot || is_ended(snapshot->status))
            callback(snapshot);
        else
            callbacks_[number] = {id, std::move(callback)};
        return number;
    }

    void forget(std::uint64_t callback_number) noexcept override { callbacks_.erase(callback_number); }
    void on_change(std::function<void(const Transition&)> listener) override {
        listener_ = std::move(listener);
    }
    Registry& registry() noexcept override { return registry_; }
    EventLog& events() noexcept override { return events_; }

    void end(OperationId id, Status status) {
        const Snapshot ended = change(id, [&](Operation& operation) { operation.status = status; });
        std::vector<Supervisor::Settled> due;
        for (auto it = callbacks_.begin(); it != callbacks_.end();) {
            if (it->second.first == id) {
                due.push_back(std::move(it->second.second));
                it = callbacks_.erase(it);
            } else {
                ++it;
            }
        }
        for (const auto& callback : due)
            callback(ended);
    }

    std::size_t waiting_callbacks() const { return callbacks_.size(); }

    std::optional<RunRequest> last_request;
    std::optional<Error> refuse_next;
    bool hold_starts = false;
    std::optional<OperationId> surrounding = 0;  // the operation of whoever asks; nothing: it is dead
    std::vector<CancelRequest> cancel_requests;
    std::vector<std::pair<OperationId, int>> signals;
    struct FakeShield {
        OperationId id;
        std::chrono::milliseconds limit;
        UniqueFd holder;
    };
    std::vector<FakeShield> shields;
    Requester last_signal_by;
    bool signal_was_for_tree = false;
    std::function<void()> pause_done;  // answers the last request to pause or resume
    std::vector<HookFailure> failed_hooks;

private:
    Snapshot change(OperationId id, const std::function<void(Operation&)>& how) {
        const Snapshot before = registry_.get_operation(id);
        const auto after = registry_.update(id, how);
        if (!after) std::abort();
        if (listener_) listener_({before, *after});
        return *after;
    }

    Registry registry_;
    EventLog events_;
    OperationId last_id_ = 0;
    std::uint64_t last_callback_ = 0;
    std::map<std::uint64_t, std::pair<OperationId, Supervisor::Settled>> callbacks_;
    std::function<void(const Transition&)> listener_;
};

}  // namespace cancelable::ipc::testing
