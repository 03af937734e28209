#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/supervisor.h"

namespace cancelable::ipc {

// What the service needs of the engine: Supervisor's functions, as an interface, so that the service can be
// tried without processes. See engine/supervisor.h for what each promises.
class Operations {
public:
    virtual ~Operations() = default;
    virtual Result<Snapshot> run(RunRequest request) = 0;
    virtual std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request) = 0;
    virtual Result<OperationId> operation_of(pid_t pid, int pidfd) = 0;
    virtual Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder) = 0;
    virtual Result<> progress(OperationId id, double fraction, std::string text) = 0;
    virtual Result<> result(OperationId id, std::string bytes) = 0;
    virtual std::vector<OperationId> signal(const Selector& selector, int signal_number, bool tree,
                                            const Requester& by) = 0;
    virtual std::vector<OperationId> set_paused(const Selector& selector, bool paused,
                                                Supervisor::PauseDone done) = 0;
    virtual std::vector<HookFailure> hook_failures(OperationId id) const = 0;
    virtual std::uint64_t when_settled(OperationId id, Supervisor::Settled callback) = 0;
    virtual void forget(std::uint64_t callback_number) noexcept = 0;
    virtual void on_change(std::function<void(const Transition&)> listener) = 0;
    virtual Registry& registry() noexcept = 0;
    virtual EventLog& events() noexcept = 0;
    // NOLINTNEXTLINE(performance-unnecessary-value-param): others keep it.
    virtual void when_recorded(OperationId /*id*/, std::function<void()> done) { done(); }
    virtual History* history() noexcept { return nullptr; }
};

// The supervisor's.
class SupervisorOperations final : public Operations {
public:
    explicit SupervisorOperations(Supervisor& supervisor) : supervisor_(supervisor) {}
    Result<Snapshot> run(RunRequest request) override { return supervisor_.run(std::move(request)); }
    std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request) override {
        return supervisor_.cancel(selector, request);
    }
    Result<OperationId> operation_of(pid_t pid, int pidfd) override {
        return supervisor_.operation_of(pid, pidfd);
    }
    std::vector<OperationId> signal(const Selector& selector, int signal_number, bool tree,
                                    const Requester& by) override {
        return supervisor_.signal(selector, signal_number, tree, by);
    }
    std::vector<OperationId> set_paused(const Selector& selector, bool paused,
                                        Supervisor::PauseDone done) override {
        return supervisor_.set_paused(selector, paused, std::move(done));
    }
    Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder) override {
        return supervisor_.shield(id, limit, std::move(holder));
    }
    Result<> progress(OperationId id, double fraction, std::string text) override {
        return supervisor_.progress(id, fraction, std::move(text));
    }
    Result<> result(OperationId id, std::string bytes) override {
        return supervisor_.result(id, std::move(bytes));
    }
    std::vector<HookFailure> hook_failures(OperationId id) const override {
        return supervisor_.hook_failures(id);
    }
    std::uint64_t when_settled(OperationId id, Supervisor::Settled callback) override {
        return supervisor_.when_settled(id, std::move(callback));
    }
    void forget(std::uint64_t callback_number) noexcept override { supervisor_.forget(callback_number); }
    void on_change(std::function<void(const Transition&)> listener) override {
        supervisor_.on_change(std::move(listener));
    }
    Registry& registry() noexcept override { return supervisor_.registry(); }
    EventLog& events() noexcept override { return supervisor_.events(); }
    void when_recorded(OperationId id, std::function<void()> done) override {
        supervisor_.when_recorded(id, std::move(done));
    }
    History* history() noexcept override { return supervisor_.history(); }

private:
    Supervisor& supervisor_;
};

}  // namespace cancelable::ipc
