#include "engine/history.h"

#include <map>
#include <utility>

namespace cancelable {

// In the order in which an operation goes through them, so that none is missed that moves on meanwhile.
History::Found History::list(const HistoryQuery& query, const CancelationToken& token) const {
    std::map<OperationId, Snapshot> all;
    const WallTime now = wall_now();
    const auto add = [&](const Snapshot& operation) {
        if (query.key && operation->spec->key != *query.key) return;
        Snapshot& known = all[operation->id()];
        if (!known || !is_ended(known->status)) known = operation;
    };
    // A key narrows further than the registry can.
    const auto limit = query.key ? std::nullopt : query.limit;
    for (const Snapshot& operation : registry_.list(query.selector, Registry::Scope::live_and_ended, limit))
        add(operation);
    for (const Snapshot& operation : writer_.unwritten())
        if (query.selector.matches(*operation, now)) add(operation);
    auto stored = store_.list(query, token);
    if (stored)
        for (const Snapshot& operation : *stored)
            add(operation);

    Found found;
    if (!stored) found.trouble = std::move(stored.error());
    std::size_t skipped = query.limit && all.size() > *query.limit ? all.size() - *query.limit : 0;
    for (auto& [id, operation] : all) {
        if (skipped > 0)
            --skipped;
        else
            found.operations.push_back(std::move(operation));
    }
    return found;
}

Result<Snapshot> History::find(OperationId id) const {
    if (Snapshot known = registry_.get_operation(id)) return known;
    for (Snapshot& operation : writer_.unwritten())
        if (operation->id() == id) return std::move(operation);
    return store_.find(id);
}

Result<Statistics> History::statistics(const CancelationToken& token) const {
    const Statistics present = registry_.get_statistics();
    auto all = store_.statistics(writer_.unwritten(), token);
    if (!all) return all;
    all->running_operations = present.running_operations;
    all->active_operations = present.active_operations;
    all->active_by_status = present.active_by_status;
    all->total_operations += present.active_operations;
    return all;
}

History::PickedStatistics History::statistics(const Selector& selector, const CancelationToken& token) const {
    std::map<OperationId, Snapshot> in_memory;
    PickedTally tally;
    const auto add = [&](const Snapshot& operation) {
        Snapshot& known = in_memory[operation->id()];
        if (!known || !is_ended(known->status)) known = operation;
    };
    const WallTime now = wall_now();
    for (const Snapshot& operation : registry_.list(selector, Registry::Scope::live_and_ended))
        add(operation);
    for (const Snapshot& operation : writer_.unwritten())
        if (selector.matches(*operation, now)) add(operation);
    // What is in the database only is counted as it comes by: there may be millions of it.
    const auto stored = store_.visit(
        {selector, std::nullopt, std::nullopt},
        [&](const Snapshot& operation) {
            if (in_memory.contains(operation->id()))
                add(operation);
            else
                tally.add(*operation);
        },
        token);
    for (const auto& [id, operation] : in_memory)
        tally.add(*operation);
    PickedStatistics picked{tally.statistics(), std::nullopt};
    if (!stored) picked.trouble = stored.error();
    return picked;
}

}  // namespace cancelable
