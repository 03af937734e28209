#include "ipc/service.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "ipc/byte_text.h"
#include "ipc/requests.h"
#include "ipc/service_impl.h"
#include "ipc/timestamp.h"
#include "version.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Changes that come close together make one answer for who waits for a change.
constexpr milliseconds kChangeDelay{20};

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

}  // namespace

const std::vector<Service::Impl::NamedMethod> Service::Impl::kMethods{
    {"operation.run", &Impl::operation_run},       {"operation.cancel", &Impl::operation_cancel},
    {"operation.wait", &Impl::operation_wait},     {"operation.list", &Impl::operation_list},
    {"operation.show", &Impl::operation_show},     {"operation.signal", &Impl::operation_signal},
    {"operation.pause", &Impl::operation_pause},   {"operation.resume", &Impl::operation_resume},
    {"operation.shield", &Impl::operation_shield}, {"operation.progress", &Impl::operation_progress},
    {"operation.result", &Impl::operation_result}, {"operation.current", &Impl::operation_current},
    {"events.subscribe", &Impl::events_subscribe}, {"events.unsubscribe", &Impl::events_unsubscribe},
    {"history.prune", &Impl::history_prune},       {"stats.get", &Impl::stats_get},
    {"supervisor.hello", &Impl::supervisor_hello}, {"supervisor.status", &Impl::supervisor_status},
    {"supervisor.stop", &Impl::supervisor_stop},
};

Service::Impl::Impl(Loop& loop, Operations& operations, Settings settings)
    : loop_(loop),
      operations_(operations),
      settings_(std::move(settings)),
      event_streams_(loop, operations.events()),
      lookups_(loop),
      change_timer_(loop, [this] { answer_list_waiters(); }),
      sweeper_(loop, [this] { sweep(); }) {}

void Service::Impl::handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) {
    for (const auto& [name, method] : kMethods) {
        if (name != request.method) continue;
        Call call{std::move(answer), std::move(request.message), request.params, std::move(descriptors)};
        Outcome outcome = (this->*method)(call);
        if (!outcome)
            call.answer.error(outcome.error());
        else if (std::optional<json>& result = *outcome)
            call.answer.result(*result);
        return;
    }
    answer.error(RpcError{RpcCode::method_not_found,
                          "unknown method \"" + request.method + "\"",
                          {{"kind", to_string(ErrorCode::protocol)}}});
}

void Service::Impl::closed(const Connection& connection) noexcept {
    lookups_.drop(connection);
    std::erase_if(pending_, [&](const auto& entry) { return entry.second->connection == &connection; });
    std::erase_if(list_waiters_, [&](const ListWaiter& waiter) { return waiter.connection == &connection; });
    std::erase_if(progress_watchers_, [&](const auto& entry) {
        const auto watcher = entry.second.lock();
        return !watcher || watcher.get() == &connection;
    });
    std::erase_if(start_waiters_, [&](const auto& entry) { return entry.second.connection == &connection; });
    event_streams_.closed(connection);
}

void Service::Impl::drained(const Connection& connection) {
    event_streams_.drained(connection);
}

Service::Impl::Outcome Service::Impl::events_subscribe(Call& call) {
    auto params = decode_subscribe(call.params);
    if (!params) return std::unexpected(params.error());
    const auto connection = call.answer.connection();
    if (!connection) return std::nullopt;
    return event_streams_.subscribe(connection, std::move(*params));
}

Service::Impl::Outcome Service::Impl::events_unsubscribe(Call& call) {
    const auto params = decode_unsubscribe(call.params);
    if (!params) return std::unexpected(params.error());
    return event_streams_.unsubscribe(call.answer.connection().get(), params->subscription);
}

void Service::Impl::changed(const Transition& transition) {
    ++revision_;
    answer_start_waiter(transition.after);
    progress_changed(transition);
    if (!list_waiters_.empty() && !change_timer_.is_active()) change_timer_.start(kChangeDelay);
}

std::size_t Service::Impl::pending() const noexcept {
    return pending_.size() - finished_.size() + list_waiters_.size() + start_waiters_.size() +
           lookups_.size();
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

std::uint64_t Service::Impl::first_revision() {
    const auto time = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

SupervisorInfo Service::Impl::info() const {
    return {::getpid(),
            kVersion,
            kProtocolVersion,
            seconds(steady_clock::now() - started_),
            settings_.socket_path,
            own_rss_bytes()};
}

Service::Impl::Outcome Service::Impl::supervisor_hello(Call& call) {
    if (auto decoded = decode_nothing(call.params, "supervisor.hello"); !decoded)
        return std::unexpected(decoded.error());
    return json{{"version", kVersion},
                {"protocol", kProtocolVersion},
                {"pid", ::getpid()},
                {"socket", to_utf8(settings_.socket_path)}};
}

Service::Impl::Outcome Service::Impl::supervisor_status(Call& call) {
    if (auto decoded = decode_nothing(call.params, "supervisor.status"); !decoded)
        return std::unexpected(decoded.error());
    json status = encode_info(info());
    status["live"] = operations_.registry().live_count();
    status["log"] = to_utf8(settings_.log_path);
    status["history"] = history_condition();
    return status;
}

Service::Impl::Outcome Service::Impl::supervisor_stop(Call& call) {
    const auto stop = decode_stop(call.params);
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
    stop_when_gone(std::move(call.answer), operations_.cancel(all, request));
    return std::nullopt;
}

void Service::Impl::stop_when_gone(Answer to, const std::vector<OperationId>& ids) {
    auto answer = std::make_shared<Answer>(std::move(to));
    const auto done = [this, answer, count = ids.size()](const Gathering::Outcome&) {
        answer->result({{"cancelled", count}});
        leave(StopParams::Mode::cancel);
    };
    // Nobody's: it goes on when the one who asked has left.
    gather(nullptr, ids, false, std::nullopt, done);
    // The analyzer loses sight of what a std::function owns.
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)

// In the next turn of the loop: the answer is on its way then, and no request is being handled.
void Service::Impl::leave(StopParams::Mode mode) {
    leaving_ = mode;
    sweeper_.start(milliseconds(0));
}

Service::Service(Loop& loop, Operations& operations, Settings settings)
    : impl_(std::make_shared<Impl>(loop, operations, std::move(settings))) {
    // The engine may outlive the service, and tell of changes then.
    operations.on_change([weak = std::weak_ptr(impl_)](const Transition& transition) {
        if (const auto impl = weak.lock()) impl->changed(transition);
    });
}

Service::~Service() = default;

void Service::handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) {
    impl_->handle(std::move(answer), std::move(request), std::move(descriptors));
}

void Service::closed(const Connection& connection) noexcept {
    impl_->closed(connection);
}

void Service::drained(const Connection& connection) {
    impl_->drained(connection);
}

std::size_t Service::pending() const noexcept {
    return impl_->pending();
}

}  // namespace cancelable::ipc
