#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/shim/channel.h"
#include "engine/store.h"

namespace cancelable {

// Brings operations into the store, and keeps the end of each where the next supervisor finds it until it is
// there.
//
// An end is at every moment in at least one of: the shim, that is not released yet; the exit record in the
// runtime directory; the store. A shim is released once its operation's end is committed. Where the store
// makes trouble, or takes too long, the end is written as an exit record first, and the shim released then;
// the record goes once the store has it.
//
// For the loop's thread, but for unwritten().
class HistoryWriter {
public:
    // The end of an operation, and how the next supervisor could learn of it.
    struct Source {
        std::optional<ShimReport> report;  // the shim's last one; none: it is lost
        bool has_record = false;           // its exit record is there already
        bool had_no_other = false;         // from its start no supervisor but this one has known of it
        std::function<void()> release;     // lets its shim go; may be empty
        std::function<void()> stored{};    // what is kept elsewhere of it may go; may be empty
    };

    struct Settings {
        Store* store = nullptr;  // none: nothing outlives the supervisor, and shims are released at once
        int operations_directory = -1;                 // of exit records
        std::function<void(const std::string&)> warn;  // may be empty
        // Takes off what is left in the runtime directory of one whose end is safe, or cannot be made so.
        std::function<void(OperationId, const Source&)> clear;
        std::chrono::milliseconds patience{2000};  // with a store that says nothing
    };
    HistoryWriter(Loop& loop, Settings settings);

    // A live operation, as it is now. It may take a moment.
    void changed(const Snapshot& operation);

    // Calls back once the operation is sure to be known after any crash; also where that cannot be had.
    void confirm(const Snapshot& operation, std::function<void()> done);

    void ended(const Snapshot& operation, Source source);

    // Its shim has died before it was released: its end goes where it is safe, at once.
    void secure(OperationId id);

    // Ended, and not in the store yet. From any thread.
    std::vector<Snapshot> unwritten() const;
    bool is_unwritten(OperationId id) const;

    // For a supervisor that leaves: writes what there is, into the store or as records, and lets every shim
    // go.
    void finish(std::chrono::steady_clock::time_point deadline);

private:
    using Clock = std::chrono::steady_clock;
    struct Ended {
        Snapshot operation;
        Source source;
    };
    void told(OperationId id, Store::Stored stored);
    bool keep_as_record(Ended& ended);
    void be_patient(std::function<void()> then);
    void lose_patience();

    Settings settings_;
    mutable std::mutex mutex_;  // of the map alone; only the loop changes it
    std::map<OperationId, Ended> unwritten_;
    std::unordered_map<std::uint64_t, std::function<void()>> confirming_;
    std::uint64_t last_confirming_ = 0;
    std::deque<std::pair<Clock::time_point, std::function<void()>>> patient_;
    Timer timer_;
    bool warned_ = false;
};

}  // namespace cancelable
