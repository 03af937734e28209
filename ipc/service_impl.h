// What is inside of a Service; included by its sources only.
//
// How an answer finds its way: handle() looks the method up and calls it. A method either returns its result,
// or keeps the Answer for later in a Pending (it waits for operations to settle) or a ListWaiter (it waits
// for any change). Both are dropped together with their connection. What is finished is swept in the next
// turn of the loop, since it finishes inside its own callback.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ipc/event_streams.h"
#include "ipc/gathering.h"
#include "ipc/lookups.h"
#include "ipc/requests.h"
#include "ipc/results.h"
#include "ipc/service.h"

namespace cancelable::ipc {

class Service::Impl {
public:
    Impl(Loop& loop, Operations& operations, Settings settings);

    void handle(Answer answer, Request request, std::vector<UniqueFd> descriptors);
    void closed(const Connection& connection) noexcept;
    void drained(const Connection& connection);
    void changed(const Transition& transition);
    std::size_t pending() const noexcept;

private:
    struct Call {
        Answer answer;
        JsonDocument message;
        JsonValue params;  // of it
        std::vector<UniqueFd> descriptors;
    };
    // Nothing: the method has taken the answer.
    using Outcome = Result<std::optional<nlohmann::json>>;
    using Method = Outcome (Impl::*)(Call&);
    struct NamedMethod {
        std::string_view name;
        Method method;
    };
    static const std::vector<NamedMethod> kMethods;

    struct Pending {
        const Connection* connection;  // to compare only; null where it is nobody's
        Gathering gathering;
    };
    // Who started an operation and waits for its command to run, or for the news that it cannot.
    struct StartWaiter {
        const Connection* connection;
        Answer answer;
        Snapshot latest;
        bool is_being_recorded = false;
    };
    struct ListWaiter {
        const Connection* connection;
        Answer answer;
        ListParams params;
        std::uint64_t after;
    };

    Outcome supervisor_hello(Call& call);
    Outcome supervisor_status(Call& call);
    Outcome supervisor_stop(Call& call);
    Outcome operation_run(Call& call);
    Outcome operation_list(Call& call);
    Outcome operation_show(Call& call);
    Outcome operation_cancel(Call& call);
    Outcome operation_signal(Call& call);
    Outcome operation_pause(Call& call);
    Outcome operation_resume(Call& call);
    Outcome operation_wait(Call& call);
    Outcome operation_current(Call& call);
    Outcome events_subscribe(Call& call);
    Outcome events_unsubscribe(Call& call);
    Outcome operation_shield(Call& call);
    Outcome operation_progress(Call& call);
    Outcome operation_result(Call& call);
    Outcome stats_get(Call& call);
    Outcome stats_of_picked(Call& call, Selector selector);
    Outcome history_prune(Call& call);

    Result<OperationId> operation_of_caller(const Answer& answer, OperationId said) const;
    static std::unexpected<Error> needs_selector(std::string_view method);
    Outcome set_paused(Call& call, std::string_view method, bool paused);
    static std::uint64_t first_revision();
    SupervisorInfo info() const;
    nlohmann::json list(const ListParams& params) const;
    void answer_list(Answer to, ListParams params);
    void list_with_history(Answer to, ListParams params);
    void wait_with_history(Answer to, const WaitParams& params);
    void find_in_history(const Connection* connection, OperationId id,
                         std::function<void(Result<Snapshot>)> done);
    nlohmann::json history_condition() const;
    void refuse_parent(Answer to, OperationId parent, const Error& refusal);
    Error nothing_matches(const Selector& selector, std::string_view kind) const;
    void gather(const Connection* connection, const std::vector<OperationId>& ids, bool any,
                std::optional<std::chrono::milliseconds> timeout, Gathering::Done done);
    void answer_list_waiters();
    void answer_start_waiter(const Snapshot& operation);
    Result<OperationId> callers_operation(const Call& call, OperationId said) const;
    void watch_progress(const std::shared_ptr<Connection>& connection, OperationId id);
    static void tell_progress(Connection& connection, const Operation& operation);
    void progress_changed(const Transition& transition);
    void stop_when_gone(Answer to, const std::vector<OperationId>& ids);
    void leave(StopParams::Mode mode);
    void sweep();

    Loop& loop_;
    Operations& operations_;
    Settings settings_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    // Starts at the time, so that a client that asks the next supervisor for what is newer than this one's
    // last revision gets its answer.
    std::uint64_t revision_ = first_revision();
    bool stopping_ = false;
    std::optional<StopParams::Mode> leaving_;
    std::uint64_t last_pending_ = 0;
    std::unordered_map<std::uint64_t, std::unique_ptr<Pending>> pending_;
    std::vector<std::uint64_t> finished_;
    std::list<ListWaiter> list_waiters_;
    std::map<OperationId, StartWaiter> start_waiters_;
    EventStreams event_streams_;
    std::multimap<OperationId, std::weak_ptr<Connection>> progress_watchers_;
    Lookups lookups_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what may call back later
    Timer change_timer_;
    Timer sweeper_;
};

}  // namespace cancelable::ipc
