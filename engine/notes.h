#pragma once

#include <functional>
#include <string>

#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/progress.h"
#include "engine/registry.h"

namespace cancelable {

// What operations say of themselves: how far they are, and what has come of them so far.
//
// Progress lives in memory only and is thinned out. A result is put into the runtime directory before it is
// acknowledged, so that a killed supervisor's successor knows it. Lives on the loop's thread.
class Notes {
public:
    // Publishes a change of a live operation; Supervisor's.
    using Change = std::function<bool(OperationId, const std::function<void(Operation&)>&)>;

    // `directory` is where operations have their files; borrowed.
    Notes(Loop& loop, const Registry& registry, int directory, Change change);

    // Errors: not_found; refused where it has ended; usage where a bound is passed, and nothing is changed.
    Result<> progress(OperationId id, double fraction, std::string text);
    Result<> result(OperationId id, std::string bytes);

    // For a record that is taken in: the result that an earlier supervisor was given.
    void recall(Operation& first) const;

    // For a record that is about to end: the last progress, which may not have been published yet.
    void complete(Operation& ending) const;

    // It has ended.
    void ended(OperationId id) noexcept { coalescer_.forget(id); }

    // Its record is kept elsewhere now: its result need not be kept here.
    void forget(OperationId id) const noexcept;

private:
    Result<> check_live(OperationId id) const;
    void publish_due();
    void plan();

    const Registry& registry_;
    int directory_;
    Change change_;
    ProgressCoalescer coalescer_;
    Timer timer_;
};

}  // namespace cancelable
