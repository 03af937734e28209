// How an answer finds its way: handle() looks the method up and calls it. A method either returns its result,
// or keeps the Answer for later in a Pending (it waits for operations to settle) or a ListWaiter (it waits
// for any change). Both are dropped together with their connection. What is finished is swept in the next
// turn of the loop, since it finishes inside its own callback.
#include "ipc/service.h"

#include <array>
#include <cstdio>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ipc/byte_text.h"
#include "ipc/gathering.h"
#include "ipc/requests.h"
#include "ipc/results.h"
#include "ipc/run_request.h"
#include "version.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Changes that come close together make one answer for who waits for a change.
constexpr milliseconds kChangeDelay{20};

WallTime now() {
    return std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
}

json encode_operations(const std::vector<Snapshot>& snapshots) {
    json operations = json::array();
    const WallTime time = now();
    for (const Snapshot& snapshot : snapshots)
        operations.push_back(encode_operation(*snapshot, time));
    return operations;
}

std::uint64_t own_rss_bytes() {
    const auto statm = open_file("/proc/self/statm", O_RDONLY);
    if (!statm) return 0;
    std::array<char, 128> text{};
    unsigned long long pages = 0;
    if (retry_eintr([&] { return ::read(statm->get(), text.data(), text.size() - 1); }) <= 0 ||
        std::sscanf(text.data(), "%*u %llu", &pages) != 1)
        return 0;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::unexpected<Error> needs_selector(std::string_view method) {
    return failure(
        ErrorCode::usage,
        std::string(method) +
            " needs a selector that says which operations are meant; all of them: {\"all\": true}");
}

}  // namespace

class Service::Impl {
public:
    Impl(Loop& loop, Operations& operations, Settings settings);

    void handle(Answer answer, Request request, std::vector<UniqueFd> descriptors);
    void closed(const Connection& connection) noexcept;
    void changed();
    std::size_t pending() const noexcept;

private:
    struct Call {
        Answer answer;
        json params;
        std::vector<UniqueFd> descriptors;
    };
    // Nothing: the method has taken the answer.
    using Outcome = Result<std::optional<json>>;
    using Method = Outcome (Impl::*)(Call&);
    struct NamedMethod {
        std::string_view name;
        Method method;
    };
    static const std::array<NamedMethod, 11> kMethods;

    struct Pending {
        const Connection* connection;  // to compare only; null where it is nobody's
        Gathering gathering;
    };
    struct ListWaiter {
        const Connection* connection;
        Answer answer;
        ListParams params;
    };

    Outcome supervisor_hello(Call& call);
    Outcome supervisor_status(Call& call);
    Outcome supervisor_stop(Call& call);
    Outcome operation_run(Call& call);
    Outcome operation_list(Call& call);
    Outcome operation_show(Call& call);
    Outcome operation_cancel(Call& call);
    Outcome operation_signal(Call& call);
    Outcome operation_wait(Call& call);
    Outcome operation_current(Call& call);
    Outcome stats_get(Call& call);

    SupervisorInfo info() const;
    json list(const ListParams& params) const;
    Error nothing_matches(const Selector& selector, std::string_view kind) const;
    void gather(const Connection* connection, const std::vector<OperationId>& ids, bool any,
                std::optional<milliseconds> timeout, Gathering::Done done);
    void answer_list_waiters();
    void leave(StopParams::Mode mode);
    void sweep();

    Loop& loop_;
    Operations& operations_;
    Settings settings_;
    steady_clock::time_point started_ = steady_clock::now();
    // Starts at the time, so that a client that asks the next supervisor for what is newer than this one's
    // last revision gets its answer.
    std::uint64_t revision_ = static_cast<std::uint64_t>(now().time_since_epoch().count());
    bool stopping_ = false;
    std::optional<StopParams::Mode> leaving_;
    std::uint64_t last_pending_ = 0;
    std::unordered_map<std::uint64_t, std::unique_ptr<Pending>> pending_;
    std::vector<std::uint64_t> finished_;
    std::list<ListWaiter> list_waiters_;
    Timer change_timer_;
    Timer sweeper_;
};

const std::array<Service::Impl::NamedMethod, 11> Service::Impl::kMethods{{
    {"operation.run", &Impl::operation_run},
    {"operation.cancel", &Impl::operation_cancel},
    {"operation.wait", &Impl::operation_wait},
    {"operation.list", &Impl::operation_list},
    {"operation.show", &Impl::operation_show},
    {"operation.signal", &Impl::operation_signal},
    {"operation.current", &Impl::operation_current},
    {"stats.get", &Impl::stats_get},
    {"supervisor.hello", &Impl::supervisor_hello},
    {"supervisor.status", &Impl::supervisor_status},
    {"supervisor.stop", &Impl::supervisor_stop},
}};

Service::Impl::Impl(Loop& loop, Operations& operations, Settings settings)
    : loop_(loop),
      operations_(operations),
      settings_(std::move(settings)),
      change_timer_(loop, [this] { answer_list_waiters(); }),
      sweeper_(loop, [this] { sweep(); }) {}

void Service::Impl::handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) {
    for (const auto& [name, method] : kMethods) {
        if (name != request.method) continue;
        Call call{std::move(answer), std::move(request.params), std::move(descriptors)};
        Outcome outcome = (this->*method)(call);
        if (!outcome)
            call.answer.error(outcome.error());
        else if (*outcome)
            call.answer.result(std::move(**outcome));
        return;
    }
    answer.error(RpcError{RpcCode::method_not_found,
                          "unknown method \"" + request.method + "\"",
                          {{"kind", to_string(ErrorCode::protocol)}}});
}

void Service::Impl::closed(const Connection& connection) noexcept {
    std::erase_if(pending_, [&](const auto& entry) { return entry.second->connection == &connection; });
    std::erase_if(list_waiters_, [&](const ListWaiter& waiter) { return waiter.connection == &connection; });
}

void Service::Impl::changed() {
    ++revision_;
    if (!list_waiters_.empty() && !change_timer_.is_active()) change_timer_.start(kChangeDelay);
}

std::size_t Service::Impl::pending() const noexcept {
    return pending_.size() - finished_.size() + list_waiters_.size();
}

void Service::Impl::gather(const Connection* connection, const std::vector<OperationId>& ids, bool any,
                           std::optional<milliseconds> timeout, Gathering::Done done) {
    const std::uint64_t number = ++last_pending_;
    auto finished = [this, number, done = std::move(done)](Gathering::Outcome outcome) {
        done(std::move(outcome));
        finished_.push_back(number);
        sweeper_.start(milliseconds(0));
    };
    auto pending = std::unique_ptr<Pending>(new Pending{connection, {operations_, std::move(finished)}});
    Gathering& gathering = pending->gathering;
    pending_.emplace(number, std::move(pending));
    gathering.start(loop_, ids, any, timeout);
}

void Service::Impl::sweep() {
    for (const std::uint64_t number : std::exchange(finished_, {}))
        pending_.erase(number);
    if (leaving_ && settings_.stop) std::exchange(settings_.stop, nullptr)(*leaving_);
}

SupervisorInfo Service::Impl::info() const {
    return {::getpid(),
            kVersion,
            kProtocolVersion,
            std::chrono::duration<double>(steady_clock::now() - started_).count(),
            settings_.socket_path,
            own_rss_bytes()};
}

Service::Impl::Outcome Service::Impl::supervisor_hello(Call& call) {
    if (auto decoded = decode_nothing(std::move(call.params), "supervisor.hello"); !decoded)
        return std::unexpected(decoded.error());
    return json{{"version", kVersion},
                {"protocol", kProtocolVersion},
                {"pid", ::getpid()},
                {"socket", to_utf8(settings_.socket_path)}};
}

Service::Impl::Outcome Service::Impl::supervisor_status(Call& call) {
    if (auto decoded = decode_nothing(std::move(call.params), "supervisor.status"); !decoded)
        return std::unexpected(decoded.error());
    json status = encode_info(info());
    status["live"] = operations_.registry().live_count();
    status["log"] = to_utf8(settings_.log_path);
    return status;
}

Service::Impl::Outcome Service::Impl::stats_get(Call& call) {
    if (auto decoded = decode_nothing(std::move(call.params), "stats.get"); !decoded)
        return std::unexpected(decoded.error());
    return encode_statistics(operations_.registry().get_statistics(), info());
}

Service::Impl::Outcome Service::Impl::supervisor_stop(Call& call) {
    const auto stop = decode_stop(std::move(call.params));
    if (!stop) return std::unexpected(stop.error());
    const std::size_t live = operations_.registry().live_count();
    if (stop->mode == StopParams::Mode::refuse && live > 0) {
        RpcError refused =
            to_rpc({ErrorCode::refused,
                    std::to_string(live) + (live == 1 ? " operation is" : " operations are") +
                        " live: stop with mode \"cancel\" to end them, or \"keep\" to let them run on",
                    0});
        refused.data["live"] = live;
        call.answer.error(refused);
        return std::nullopt;
    }
    stopping_ = true;
    if (stop->mode != StopParams::Mode::cancel) {
        leave(stop->mode);
        return json{{"cancelled", 0}};
    }
    CancelRequest request;
    request.reason = CancelationReason::shutdown;
    request.message = "the supervisor was told to stop";
    if (const auto connection = call.answer.connection())
        request.by = {connection->peer().uid, connection->peer().pid};
    Selector all;
    all.all = true;
    const auto ids = operations_.cancel(all, request);
    // Nobody's: it goes on when the one who asked has left.
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    gather(nullptr, ids, false, std::nullopt, [this, answer, count = ids.size()](const Gathering::Outcome&) {
        answer->result({{"cancelled", count}});
        leave(StopParams::Mode::cancel);
    });
    return std::nullopt;
}

// In the next turn of the loop: the answer is on its way then, and no request is being handled.
void Service::Impl::leave(StopParams::Mode mode) {
    leaving_ = mode;
    sweeper_.start(milliseconds(0));
}

Service::Impl::Outcome Service::Impl::operation_run(Call& call) {
    auto params = decode_run(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (stopping_) return failure(ErrorCode::refused, "the supervisor is stopping and starts nothing more");
    const bool watch = params->watch;
    auto request = make_run_request(std::move(*params), std::move(call.descriptors));
    if (!request) return std::unexpected(request.error());
    const auto snapshot = operations_.run(std::move(*request));
    if (!snapshot) return std::unexpected(snapshot.error());
    const auto connection = call.answer.connection();
    // The answer goes first, so that who is told of the end knows the operation.
    call.answer.result(encode_operation(**snapshot, now()));
    if (!watch || !connection) return std::nullopt;
    auto hold = std::make_shared<Hold>(connection);
    gather(connection.get(), {(*snapshot)->id()}, false, std::nullopt,
           [hold](const Gathering::Outcome& outcome) {
               const auto peer = hold->connection();
               if (peer && !outcome.settled.empty())
                   peer->notify("operation.ended",
                                {{"operation", encode_operation(*outcome.settled.front(), now())}});
           });
    return std::nullopt;
}

json Service::Impl::list(const ListParams& params) const {
    const auto scope = params.all ? Registry::Scope::live_and_ended : Registry::Scope::live;
    // A key narrows further than the registry can, so the limit has to wait for it.
    auto snapshots =
        operations_.registry().list(params.selector, scope, params.key ? std::nullopt : params.limit);
    if (params.key) {
        std::erase_if(snapshots,
                      [&](const Snapshot& snapshot) { return snapshot->spec->key != *params.key; });
        if (params.limit && snapshots.size() > *params.limit)
            snapshots.erase(snapshots.begin(), snapshots.end() - static_cast<std::ptrdiff_t>(*params.limit));
    }
    return {{"operations", encode_operations(snapshots)}, {"revision", revision_}};
}

Service::Impl::Outcome Service::Impl::operation_list(Call& call) {
    auto params = decode_list(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (!params->after || revision_ > *params->after) return list(*params);
    const Connection* connection = call.answer.connection().get();
    list_waiters_.push_back({connection, std::move(call.answer), std::move(*params)});
    return std::nullopt;
}

void Service::Impl::answer_list_waiters() {
    std::list<ListWaiter> still;
    for (ListWaiter& waiter : std::exchange(list_waiters_, {})) {
        if (revision_ > *waiter.params.after)
            waiter.answer.result(list(waiter.params));
        else
            still.push_back(std::move(waiter));
    }
    list_waiters_ = std::move(still);
}

Service::Impl::Outcome Service::Impl::operation_show(Call& call) {
    const auto params = decode_show(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    const Snapshot snapshot = operations_.registry().get_operation(params->id);
    if (!snapshot)
        return failure(ErrorCode::not_found, "there is no operation " + std::to_string(params->id));
    return encode_operation(*snapshot, now());
}

Error Service::Impl::nothing_matches(const Selector& selector, std::string_view kind) const {
    Error error{ErrorCode::not_found, "no " + std::string(kind) + " matches", 0};
    if (selector.ids.size() != 1 || !selector.globs.empty()) return error;
    const Snapshot snapshot = operations_.registry().get_operation(selector.ids.front());
    const std::string id = std::to_string(selector.ids.front());
    if (!snapshot)
        error.doing = "there is no operation " + id;
    else if (is_ended(snapshot->status))
        error.doing = "operation " + id + " has ended already";
    return error;
}

Service::Impl::Outcome Service::Impl::operation_cancel(Call& call) {
    auto params = decode_cancel(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.cancel");
    Registry& registry = operations_.registry();
    if (params->dry_run) {
        const auto picked = registry.list(params->selector);
        if (picked.empty()) return std::unexpected(nothing_matches(params->selector, "live operation"));
        return json{{"operations", encode_operations(picked)}};
    }
    const auto connection = call.answer.connection();
    if (connection) params->request.by = {connection->peer().uid, connection->peer().pid};
    const auto ids = operations_.cancel(params->selector, params->request);
    if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "live operation"));
    if (!params->wait) {
        std::vector<Snapshot> picked;
        for (const OperationId id : ids)
            if (auto snapshot = registry.get_operation(id)) picked.push_back(std::move(snapshot));
        return json{{"operations", encode_operations(picked)}};
    }
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    gather(connection.get(), ids, false, std::nullopt, [answer](const Gathering::Outcome& outcome) {
        answer->result({{"operations", encode_operations(outcome.settled)}});
    });
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::operation_signal(Call& call) {
    const auto params = decode_signal(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (auto sent = operations_.signal(params->id, params->signal); !sent)
        return std::unexpected(sent.error());
    return json::object();
}

Service::Impl::Outcome Service::Impl::operation_wait(Call& call) {
    const auto params = decode_wait(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    if (params->selector.empty()) return needs_selector("operation.wait");
    std::vector<OperationId> ids;
    for (const Snapshot& snapshot :
         operations_.registry().list(params->selector, Registry::Scope::live_and_ended))
        ids.push_back(snapshot->id());
    if (ids.empty()) return std::unexpected(nothing_matches(params->selector, "operation"));
    const Connection* connection = call.answer.connection().get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    gather(connection, ids, params->any, params->timeout, [answer](const Gathering::Outcome& outcome) {
        answer->result(
            {{"operations", encode_operations(outcome.settled)}, {"timed_out", outcome.timed_out}});
    });
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::operation_current(Call& call) {
    const auto params = decode_current(std::move(call.params));
    if (!params) return std::unexpected(params.error());
    const Snapshot snapshot = operations_.registry().get_operation(params->operation_id);
    return snapshot ? encode_operation(*snapshot, now()) : json();
}

Service::Service(Loop& loop, Operations& operations, Settings settings)
    : impl_(std::make_shared<Impl>(loop, operations, std::move(settings))) {
    // The engine may outlive the service, and tell of changes then.
    operations.on_change([weak = std::weak_ptr(impl_)](const Transition&) {
        if (const auto impl = weak.lock()) impl->changed();
    });
}

Service::~Service() = default;

void Service::handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) {
    impl_->handle(std::move(answer), std::move(request), std::move(descriptors));
}

void Service::closed(const Connection& connection) noexcept {
    impl_->closed(connection);
}

std::size_t Service::pending() const noexcept {
    return impl_->pending();
}

}  // namespace cancelable::ipc
