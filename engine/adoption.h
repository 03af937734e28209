// Taking over from an earlier supervisor.
//
//   left of an operation                  what it means
//   channel, somebody answers             its shim lives and will report itself
//   exit record                           it ended, and this is how
//   channel or acceptance, never begun    its supervisor died before the command was started
//   loss                                  an earlier supervisor has found it lost, and has ended its tree
//   channel, nobody answers               its shim was killed: lost, and its tree has fallen to init
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "engine/shim/acceptance.h"
#include "engine/shim/channel.h"
#include "engine/shim_link.h"

namespace cancelable {

// What is left of one operation in the runtime directory.
struct LeftOperation {
    OperationId id = 0;
    UniqueFd channel;                      // its shim lives, and will report itself with its description
    Result<ExitRecord> exit_record;        // where there is no channel: how it ended, or why nobody knows
    std::optional<Acceptance> acceptance;  // what it was to be, where that was noted and is wanted
};

// All of them, in order of ids. What is left of none is removed: a name of an idle shim, the beginning of an
// operation whose end is safe. What is left of one is for who has made it safe. Fails only where the
// directory cannot be read.
Result<std::vector<LeftOperation>> find_left_operations(int directory);

// Collects the first reports of the shims that are left, so that all can be taken in at once and in order: a
// parent before its children.
class Adoption {
public:
    struct Adopted {
        LeftOperation left;
        std::unique_ptr<ShimLink> link;    // none: its shim is dead
        std::optional<ShimReport> report;  // none, with a link: the shim has not answered yet
        UniqueFd description;              // came with the report
    };
    using CallbacksFor = std::function<ShimLink::Callbacks(OperationId)>;

    // `directory` is borrowed.
    Adoption(Loop& loop, int directory, std::vector<LeftOperation> left, const CallbacksFor& callbacks_for);

    // Runs the loop until every shim has reported or has ended, or the patience is over: a shim that
    // somebody has stopped keeps nobody from being served.
    void gather(std::chrono::milliseconds patience);

    // What the links tell meanwhile. A shim that still reports the operation before has got this one's name,
    // and was not assigned it any more: there is none for this one.
    void reported(OperationId id, const ShimReport& report, UniqueFd description);
    void gone(OperationId id);

    // All of them, in order of ids; nothing is collected any more.
    std::vector<Adopted> take();

private:
    Loop& loop_;
    int directory_;
    std::map<OperationId, Adopted> adopted_;
    std::size_t silent_ = 0;  // links that have not said anything yet
};

}  // namespace cancelable
