#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/registry.h"

namespace cancelable {
namespace {

// The registry as anyone would write it who had never heard of an index.
using Model = std::map<OperationId, Snapshot>;

std::vector<OperationId> ids(const std::vector<Snapshot>& snapshots) {
    std::vector<OperationId> all;
    for (const Snapshot& snapshot : snapshots)
        all.push_back(snapshot->id());
    return all;
}

std::vector<OperationId> picked(const Model& model, const Selector& selector, Registry::Scope scope) {
    std::vector<OperationId> all;
    for (const auto& [id, operation] : model)
        if ((scope == Registry::Scope::live_and_ended || !is_ended(operation->status)) &&
            selector.matches(*operation, wall_now()))
            all.push_back(id);
    return all;
}

Operation any_operation(OperationId id) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = *rc::gen::element<std::string>("build", "build-2", "train", "user_42_x", "user_7_x");
    spec->parent = *rc::gen::inRange<OperationId>(0, 4);
    if (*rc::gen::arbitrary<bool>()) spec->tags = {{"team", *rc::gen::element<std::string>("red", "blue")}};
    Operation made;
    made.spec = std::move(spec);
    return made;
}

Selector any_selector() {
    Selector selector;
    const auto sometimes = [] { return *rc::gen::inRange(0, 3) == 0; };
    if (sometimes())
        selector.ids = *rc::gen::container<std::vector<OperationId>>(rc::gen::inRange<OperationId>(1, 40));
    if (sometimes()) selector.globs = {*rc::gen::element<std::string>("build*", "user_*_x", "*", "none")};
    if (sometimes()) selector.name = *rc::gen::element<std::string>("*x", "b*", "train");
    if (sometimes()) selector.tags = {{"team", "red"}};
    if (sometimes()) selector.parent = *rc::gen::inRange<OperationId>(0, 4);
    if (sometimes())
        selector.statuses = *rc::gen::container<std::vector<Status>>(
            rc::gen::map(rc::gen::inRange(0, 9), [](int number) { return static_cast<Status>(number); }));
    return selector;
}

TEST_CASE("property: after any changes, every selector picks from the indices what a scan would") {
    CHECK(rc::check([] {
        Registry registry;
        Model model;
        const auto count = *rc::gen::inRange<OperationId>(0, 40);
        for (OperationId id = 1; id <= count; ++id)
            model[id] = registry.register_operation(any_operation(id));
        for (const auto& [id, status] : *rc::gen::container<std::vector<std::pair<OperationId, int>>>(
                 rc::gen::pair(rc::gen::inRange<OperationId>(1, 40), rc::gen::inRange(0, 10)))) {
            if (status == 9) {
                RC_ASSERT(registry.unregister(id) == (model.erase(id) == 1));
                continue;
            }
            const auto to = static_cast<Status>(status);
            const auto after = registry.update(id, [&](Operation& edited) { edited.status = to; });
            const auto known = model.find(id);
            const bool allowed = known != model.end() && !is_ended(known->second->status) &&
                                 (known->second->status == to || may_become(known->second->status, to));
            RC_ASSERT(after.has_value() == allowed);
            if (allowed) known->second = *after;
        }
        const Selector selector = any_selector();
        for (const auto scope : {Registry::Scope::live, Registry::Scope::live_and_ended})
            RC_ASSERT(ids(registry.list(selector, scope)) == picked(model, selector, scope));
        // A parent that is picked takes its children with it, so what this call cancelled may be fewer.
        const auto meant = picked(model, selector, Registry::Scope::live);
        registry.cancel_all(selector, CancelationReason::manual);
        for (const OperationId id : meant)
            RC_ASSERT(registry.token(id)->is_cancelled());
    }));
}

}  // namespace
}  // namespace cancelable
