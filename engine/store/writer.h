// The writing side of a Store: a thread with a queue.
//
//   put() ──► queue ──► transaction of many ──► outbox ──► the loop calls back
//
// The queue holds each operation once, as it was last. A transaction that fails leaves it as it was, the
// connection is closed, and after a while it is tried again with a new one.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "engine/store.h"
#include "engine/store/file.h"
#include "engine/store/row_writer.h"

namespace cancelable {

class Store::Writer {
public:
    Writer(Loop& loop, Settings settings, HistoryFile file);
    ~Writer();

    void put(const Snapshot& operation, Urgency urgency, Told told);
    bool flush(std::chrono::steady_clock::time_point deadline);
    Condition condition() const;

    // Something else to be done with the connection for writing, between two transactions.
    struct Job {
        std::move_only_function<Result<bool>(Database&)> step;  // true: once more
        std::move_only_function<bool(const Error&)> failed;     // true: it is tried again later
        bool after_writing = false;                             // else before what is queued is written
    };
    void add(Job job);

    // Runs on the loop, soon. From any thread.
    void call_back(std::function<void()> call);

    // A reader came upon damage in that file. From any thread.
    void suspect(const HistoryFile::Identity& file);

    // Until the file was opened for the first time, or could not be. From any thread.
    void wait_until_tried();

    const Settings& settings() const noexcept { return settings_; }
    const std::string& owner() const noexcept { return owner_; }

private:
    using Clock = std::chrono::steady_clock;
    struct Waiter {
        Told told;
        bool knows_of_trouble = false;
    };
    struct Entry {
        Snapshot operation;
        std::vector<Waiter> told;
    };
    using Batch = std::vector<Entry>;

    void run();
    bool wait_for_work(std::unique_lock<std::mutex>& lock);
    Batch take_batch();
    void put_back(Batch batch);
    Result<> work(const Batch& batch, std::optional<Job>& job,
                  const std::optional<HistoryFile::Identity>& suspected);
    Result<> try_work(const Batch& batch, std::optional<Job>& job,
                      const std::optional<HistoryFile::Identity>& suspected);
    Result<> write(const Batch& batch);
    Result<> ensure_open();
    Result<> open();
    Result<> set_aside(const HistoryFile::Identity& damaged, const Error& why);
    void keep_log_small();
    void close();
    void note_success();
    void note_failure(const Error& error);
    void tell(Entry& entry, Stored stored);
    void deliver();

    Settings settings_;
    const HistoryFile file_;
    const std::string owner_;  // with the boot of the machine
    Wake wake_;

    mutable std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable done_;
    std::unordered_map<OperationId, Entry> queue_;
    std::deque<OperationId> order_;
    std::deque<Job> jobs_;
    std::vector<std::function<void()>> outbox_;
    std::size_t in_hand_ = 0;               // taken from the queue, and not yet committed
    std::optional<Clock::time_point> due_;  // when the next transaction begins, where something is queued
    Condition condition_;
    std::optional<Clock::time_point> retry_at_;
    std::chrono::milliseconds retry_delay_;
    std::optional<HistoryFile::Identity> suspected_;
    std::uint64_t failures_ = 0;
    bool tried_ = false;
    bool flushing_ = false;
    bool stopping_ = false;

    // The thread's own.
    std::optional<HistoryFile::Opened> opened_;
    std::optional<RowWriter> rows_;
    std::optional<HistoryFile::Identity> last_file_;
    int suspicions_ = 0;
    std::thread thread_;  // last: it uses the others
};

// The boot of the machine that this is, as an owner's name begins.
std::string boot_id();

}  // namespace cancelable
