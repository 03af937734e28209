#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/loop.h"
#include "engine/operation.h"
#include "engine/process/error.h"
#include "engine/statistics.h"
#include "engine/store/prune.h"
#include "engine/store/query.h"
#include "engine/token.h"

namespace cancelable {

// The durable history: every operation that was accepted, in `history.db` of the state directory.
//
// Written by one thread of its own, many operations to a transaction; put() only enqueues. Read by any number
// of worker threads, each with a connection of its own, on the last commit. So no disk holds up the loop. A
// commit survives the death of every process here at once, and that of the machine within seconds (WAL, with
// synchronous=NORMAL).
//
// Trouble with the disk is no reason to stop: what cannot be written waits in memory and is tried again. A
// file that is damaged is set aside under a dated name, and a new one begun. A file of a later version of the
// program is left alone, and there is no history then.
//
// What is not said to be for other threads is for the loop's, and calls back there.
class Store {
public:
    struct Settings {
        std::string directory;  // the state directory; made where it is missing
        std::string
            owner;  // the runtime directory: tells apart the live operations of supervisors that share
        std::function<void(const std::string&)> warn;  // a sentence for the log
        std::function<void()> renewed;                 // a new file: live operations are not in it
        std::function<void(const std::vector<OperationId>&)> forgotten;  // what was pruned
        std::chrono::milliseconds gathering{20};  // how long what is not urgent waits for company
        std::chrono::milliseconds retry{
            1000};  // after a failure; then twice as long each time, up to a minute
        std::span<const char* const> schema{};  // for tests; empty: today's
        std::function<void(Database&)>
            opened;  // for tests: each connection for writing, on the writer's thread
    };
    Store(Loop& loop, Settings settings);
    ~Store();  // writes what is queued, unless the disk makes trouble; nothing is called back any more
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    enum class Stored : std::uint8_t {
        committed,
        failing,  // not yet, and it may take long: the disk makes trouble. `committed` follows some day
        off,      // never: this file is not for us
    };
    using Told = std::function<void(Stored)>;
    enum class Urgency : std::uint8_t { soon, now };

    // The operation as it is now, in the place of what is known of it; one that is queued is replaced, and
    // who waits for it is told of the new one. `told` may be empty.
    void put(const Snapshot& operation, Urgency urgency, Told told = {});

    // Those that were accepted under this owner and have not ended, in the file as it was before any put().
    // And which of `asked` have ended.
    // Calls back when the file can be read; not at all where that never comes.
    void recover(std::vector<OperationId> asked, std::function<void(Unended)> done);

    void prune(PruneRequest request, std::function<void(Result<PruneResult>)> done);

    // Waits until all that is queued is committed, or cannot be, or the time is over; then calls back what
    // there is to call back. True where nothing is left to be written.
    bool flush(std::chrono::steady_clock::time_point deadline);

    struct Condition {
        enum class State : std::uint8_t { opening, working, failing, off } state = State::opening;
        std::string path;
        std::string trouble;      // why it fails or is off, in a sentence
        std::string set_aside;    // the last damaged file's name now; empty: there was none
        std::size_t waiting = 0;  // operations that are not written yet
    };
    Condition condition() const;  // from any thread

    // From any thread but the loop's: these block. A token that is cancelled ends them early.
    Result<std::vector<Snapshot>> list(const HistoryQuery& query, const CancelationToken& token = {});
    Result<> visit(const HistoryQuery& query, const Visit& visit, const CancelationToken& token = {});
    Result<Snapshot> find(OperationId id);  // null: it is not there, or has not ended
    Result<PruneResult> count_prunable(const PruneRequest& request, const CancelationToken& token = {});

    // Of what is committed, and of `more` where that is not.
    Result<Statistics> statistics(const std::vector<Snapshot>& more, const CancelationToken& token = {});

private:
    class Writer;
    class Readers;
    std::unique_ptr<Writer> writer_;
    std::unique_ptr<Readers> readers_;
};

}  // namespace cancelable
