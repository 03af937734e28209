#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "engine/loop.h"
#include "ipc/operations.h"

namespace cancelable::ipc {

// Waits until all of some operations are settled, or any one of them, or until a time has passed; then calls
// back once.
//
// Destroying it ends the waiting. It must not be destroyed by its own callback.
class Gathering {
public:
    struct Outcome {
        std::vector<Snapshot> settled;  // in order of ids
        bool timed_out = false;
    };
    using Done = std::function<void(Outcome)>;

    Gathering(Operations& operations, Done done);
    ~Gathering();
    Gathering(const Gathering&) = delete;
    Gathering& operator=(const Gathering&) = delete;

    // Where there is nothing to wait for, `done` is called before this returns.
    void start(Loop& loop, const std::vector<OperationId>& ids, bool any,
               std::optional<std::chrono::milliseconds> timeout);

    bool is_done() const noexcept { return done_ == nullptr; }

private:
    void settled(OperationId id, const Snapshot& snapshot);
    void finish(bool timed_out);
    void finish_if_enough();

    Operations& operations_;
    Done done_;
    bool any_ = false;
    bool starting_ = false;
    std::set<OperationId> missing_;
    std::map<OperationId, Snapshot> settled_;
    std::vector<std::uint64_t> callbacks_;
    std::optional<Timer> timer_;
};

}  // namespace cancelable::ipc
