// What looks into the history's database: on a worker, which also turns what it finds into text, so that
// neither a slow disk nor a long list holds up the loop.
#include <algorithm>
#include <utility>

#include "ipc/byte_text.h"
#include "ipc/requests.h"
#include "ipc/service_impl.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

// No answer with more than that fits into a message.
constexpr std::size_t kMostListed = 20'000;

// Where nobody says by id which are meant, of those that ended long ago the last so many.
constexpr std::size_t kMostWaitedFor = 1000;

std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string_view to_string(Store::Condition::State state) {
    switch (state) {
        case Store::Condition::State::opening:
            return "opening";
        case Store::Condition::State::working:
            return "working";
        case Store::Condition::State::failing:
            return "failing";
        default:
            return "off";
    }
}

}  // namespace

void Service::Impl::list_with_history(Answer to, ListParams params) {
    const Connection* const connection = to.connection().get();
    auto answer = std::make_shared<Answer>(std::move(to));
    const auto work = [history = operations_.history(), params = std::move(params),
                       revision = revision_](const CancelationToken& token) -> Result<std::string> {
        HistoryQuery query{params.selector, params.limit, params.key};
        query.limit = std::min(query.limit.value_or(kMostListed + 1), kMostListed + 1);
        const auto found = history->list(query, token);
        if (found.operations.size() > kMostListed)
            return failure(ErrorCode::limit, "more than " + std::to_string(kMostListed) +
                                                 " operations match: ask for fewer of them");
        json result{{"operations", encode_operations(found.operations)}, {"revision", revision}};
        if (found.trouble) result["incomplete"] = to_utf8(found.trouble->sentence());
        return dump(result);
    };
    lookups_.start<std::string>(connection, work, [answer](Result<std::string> result) {
        if (result)
            answer->result_text({std::move(*result)});
        else
            answer->error(result.error());
    });
}

void Service::Impl::find_in_history(const Connection* connection, OperationId id,
                                    std::function<void(Result<Snapshot>)> done) {
    lookups_.start<Snapshot>(
        connection,
        [history = operations_.history(), id](const CancelationToken&) { return history->find(id); },
        std::move(done));
}

void Service::Impl::wait_with_history(Answer to, const WaitParams& params) {
    const Connection* const connection = to.connection().get();
    auto answer = std::make_shared<Answer>(std::move(to));
    const bool by_id = !params.selector.ids.empty() && params.selector.globs.empty();
    const auto work = [history = operations_.history(), selector = params.selector,
                       by_id](const CancelationToken& token) -> Result<std::vector<Snapshot>> {
        HistoryQuery query{selector, by_id ? std::nullopt : std::optional(kMostWaitedFor), {}};
        return history->list(query, token).operations;
    };
    // Which are meant is decided now; what is live now may have ended when the database has been asked.
    auto known = operations_.registry().list(params.selector, Registry::Scope::live_and_ended);
    lookups_.start<std::vector<Snapshot>>(
        connection, work,
        [this, answer, connection, params, known = std::move(known)](Result<std::vector<Snapshot>> found) {
            std::map<OperationId, Snapshot> ended;
            std::vector<OperationId> live;
            if (found)
                for (const Snapshot& operation : *found)
                    if (is_ended(operation->status)) ended.emplace(operation->id(), operation);
            for (const Snapshot& operation : known) {
                if (is_ended(operation->status))
                    ended.emplace(operation->id(), operation);
                else if (!ended.contains(operation->id()))
                    live.push_back(operation->id());
            }
            if (ended.empty() && live.empty()) {
                answer->error(found ? nothing_matches(params.selector, "operation") : found.error());
                return;
            }
            const auto finish = [answer, ended](const Gathering::Outcome& outcome) {
                auto all = ended;
                for (const Snapshot& operation : outcome.settled)
                    all.insert_or_assign(operation->id(), operation);
                std::vector<Snapshot> settled;
                settled.reserve(all.size());
                for (const auto& [id, operation] : all)
                    settled.push_back(operation);
                answer->result(
                    {{"operations", encode_operations(settled)}, {"timed_out", outcome.timed_out}});
            };
            if (live.empty() || (params.any && !ended.empty()))
                finish({});
            else
                gather(connection, live, params.any, params.timeout, finish);
        });
}

Service::Impl::Outcome Service::Impl::stats_get(Call& call) {
    auto params = decode_stats(call.params);
    if (!params) return std::unexpected(params.error());
    // Everything: that is counted already.
    params->selector.all = false;
    if (!params->selector.empty()) return stats_of_picked(call, std::move(params->selector));
    History* const history = operations_.history();
    if (history == nullptr) return encode_statistics(operations_.registry().get_statistics(), info());
    const Connection* const connection = call.answer.connection().get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    lookups_.start<Statistics>(
        connection, [history](const CancelationToken& token) { return history->statistics(token); },
        [this, answer](Result<Statistics> found) {
            // Without the database, what memory knows is better than nothing.
            json result = encode_statistics(found ? *found : operations_.registry().get_statistics(), info());
            if (!found) result["incomplete"] = to_utf8(found.error().sentence());
            answer->result(result);
        });
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::stats_of_picked(Call& call, Selector selector) {
    History* const history = operations_.history();
    if (history == nullptr) {
        PickedTally tally;
        for (const Snapshot& operation :
             operations_.registry().list(selector, Registry::Scope::live_and_ended))
            tally.add(*operation);
        return encode_statistics(tally.statistics(), info());
    }
    const Connection* const connection = call.answer.connection().get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    using Picked = History::PickedStatistics;
    const auto count = [history,
                        selector = std::move(selector)](const CancelationToken& token) -> Result<Picked> {
        return history->statistics(selector, token);
    };
    lookups_.start<Picked>(connection, count, [this, answer](const Result<Picked>& found) {
        if (!found) {
            answer->error(found.error());
            return;
        }
        json result = encode_statistics(found->numbers, info());
        if (found->trouble) result["incomplete"] = to_utf8(found->trouble->sentence());
        answer->result(result);
    });
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it loses sight of what a std::function owns.
    return std::nullopt;
}

Service::Impl::Outcome Service::Impl::history_prune(Call& call) {
    const auto params = decode_prune(call.params);
    if (!params) return std::unexpected(params.error());
    History* const history = operations_.history();
    if (history == nullptr)
        return failure(ErrorCode::refused, "there is no history to be pruned: no state directory");
    const Connection* const connection = call.answer.connection().get();
    auto answer = std::make_shared<Answer>(std::move(call.answer));
    const auto done = [answer, dry_run = params->dry_run](const Result<PruneResult>& pruned) {
        if (pruned)
            answer->result(
                {{"operations", pruned->operations}, {"logs", pruned->logs}, {"dry_run", dry_run}});
        else
            answer->error(pruned.error());
    };
    if (params->dry_run)
        lookups_.start<PruneResult>(
            connection,
            [history, request = params->request](const CancelationToken& token) {
                return history->store().count_prunable(request, token);
            },
            done);
    else
        history->store().prune(params->request, done);
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it loses sight of what a std::function owns.
    return std::nullopt;
}

json Service::Impl::history_condition() const {
    History* const history = operations_.history();
    if (history == nullptr) return nullptr;
    const Store::Condition condition = history->store().condition();
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? json() : json(to_utf8(text));
    };
    return {{"path", to_utf8(condition.path)},
            {"state", to_string(condition.state)},
            {"trouble", text_or_null(condition.trouble)},
            {"set_aside", text_or_null(condition.set_aside)},
            {"waiting", condition.waiting}};
}

}  // namespace cancelable::ipc
