#include "engine/store.h"

#include <utility>

#include "engine/store/readers.h"
#include "engine/store/row.h"
#include "engine/store/writer.h"

namespace cancelable {
namespace {

std::span<const char* const> steps_of(const Store::Settings& settings) {
    return settings.schema.empty() ? schema_steps() : settings.schema;
}

// Before anything was written there is nothing to be found, and nothing wrong with that, unless it cannot be
// written.
template <class T>
Result<T> or_empty(Result<T> result, const Store::Condition& condition) {
    if (result || result.error().code != ErrorCode::not_found) return result;
    if (condition.state == Store::Condition::State::failing)
        return failure(ErrorCode::system, condition.trouble);
    return T{};
}

}  // namespace

Store::Store(Loop& loop, Settings settings) {
    const auto steps = steps_of(settings);
    const HistoryFile file(settings.directory, steps);
    writer_ = std::make_unique<Writer>(loop, std::move(settings), file);
    readers_ = std::make_unique<Readers>(file, steps, *writer_);
}

Store::~Store() {
    // The last connection to go tidies up, and the writer's is the one that may.
    readers_.reset();
}

void Store::put(const Snapshot& operation, Urgency urgency, Told told) {
    writer_->put(operation, urgency, std::move(told));
}

void Store::recover(std::vector<OperationId> asked, std::function<void(Unended)> done) {
    Writer* const writer = writer_.get();
    const auto step = [writer, done = std::move(done),
                       asked = std::move(asked)](Database& database) -> Result<bool> {
        auto unended = read_unended(database, writer->owner(), boot_id(), asked);
        if (!unended) return std::unexpected(unended.error());
        writer->call_back(
            [done, unended = std::make_shared<Unended>(std::move(*unended))] { done(std::move(*unended)); });
        return false;
    };
    writer_->add({step, [](const Error&) { return true; }});
}

void Store::prune(PruneRequest request, std::function<void(Result<PruneResult>)> done) {
    Writer* const writer = writer_.get();
    if (writer->condition().state == Condition::State::off) {
        writer->call_back([done = std::move(done), trouble = writer->condition().trouble] {
            done(failure(ErrorCode::refused, trouble));
        });
        return;
    }
    auto pruning = std::make_shared<Pruning>(std::move(request), writer->settings().directory);
    const auto step = [writer, pruning, done](Database& database) -> Result<bool> {
        auto gone = pruning->step(database);
        if (!gone) return std::unexpected(gone.error());
        if (gone->empty()) {
            writer->call_back([done, result = pruning->result()] { done(result); });
            return false;
        }
        if (writer->settings().forgotten)
            writer->call_back([writer, gone = std::move(*gone)] { writer->settings().forgotten(gone); });
        return true;
    };
    const auto failed = [writer, done](const Error& error) {
        writer->call_back([done, error] { done(std::unexpected(error)); });
        return false;
    };
    writer_->add({step, failed, true});
}

bool Store::flush(std::chrono::steady_clock::time_point deadline) {
    return writer_->flush(deadline);
}

Store::Condition Store::condition() const {
    return writer_->condition();
}

Result<std::vector<Snapshot>> Store::list(const HistoryQuery& query, const CancelationToken& token) {
    return or_empty(readers_->read<std::vector<Snapshot>>(
                        token, [&](Database& database) { return read_ended(database, query); }),
                    condition());
}

Result<> Store::visit(const HistoryQuery& query, const Visit& visit, const CancelationToken& token) {
    struct Done {};
    const auto done =
        or_empty(readers_->read<Done>(token,
                                      [&](Database& database) -> Result<Done> {
                                          auto visited = visit_ended(database, query, visit);
                                          if (!visited) return std::unexpected(std::move(visited.error()));
                                          return Done{};
                                      }),
                 condition());
    if (!done) return std::unexpected(done.error());
    return {};
}

Result<Snapshot> Store::find(OperationId id) {
    return or_empty(
        readers_->read<Snapshot>({}, [&](Database& database) { return read_ended(database, id); }),
        condition());
}

Result<PruneResult> Store::count_prunable(const PruneRequest& request, const CancelationToken& token) {
    return or_empty(
        readers_->read<PruneResult>(
            token, [&](Database& database) { return cancelable::count_prunable(database, request); }),
        condition());
}

Result<Statistics> Store::statistics(const std::vector<Snapshot>& more, const CancelationToken& token) {
    return readers_->read<Statistics>(token, [&](Database& database) -> Result<Statistics> {
        std::vector<Snapshot> missing;
        for (const Snapshot& operation : more) {
            const auto known = read_ended(database, operation->id());
            if (!known) return std::unexpected(known.error());
            if (!*known) missing.push_back(operation);
        }
        return read_statistics(database, missing);
    });
}

}  // namespace cancelable
