#include "engine/store/writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "engine/kill_point.h"
#include "engine/process/fd.h"

namespace cancelable {
namespace {

constexpr std::size_t kMostInTransaction = 512;
constexpr std::chrono::minutes kLongestRetry{1};
constexpr off_t kLogLimit = 16 << 20;  // of SQLite's write-ahead log; it is mostly a quarter of that
constexpr int kMostSuspicions = 3;

}  // namespace

std::string boot_id() {
    const auto file = open_file("/proc/sys/kernel/random/boot_id", O_RDONLY);
    if (!file) return {};
    std::array<char, 64> text{};
    const ssize_t length = retry_eintr([&] { return ::read(file->get(), text.data(), text.size()); });
    std::string id(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    return id.substr(0, id.find('\n'));
}

Store::Writer::Writer(Loop& loop, Settings settings, HistoryFile file)
    : settings_(std::move(settings)),
      file_(std::move(file)),
      owner_(boot_id() + ":" + settings_.owner),
      wake_(loop, [this] { deliver(); }),
      retry_delay_(settings_.retry) {
    condition_.path = file_.path();
    // The signals of the process are for its own threads.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Store::Writer::~Writer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_all();
    done_.notify_all();
    thread_.join();
}

void Store::Writer::put(const Snapshot& operation, Urgency urgency, Told told) {
    const std::lock_guard lock(mutex_);
    if (condition_.state == Condition::State::off) {
        if (told) outbox_.emplace_back([told = std::move(told)] { told(Stored::off); });
        wake_.notify();
        return;
    }
    const OperationId id = operation->id();
    Entry& entry = queue_[id];
    if (!entry.operation) order_.push_back(id);
    // What has ended stays so, whatever comes late.
    if (!entry.operation || !is_ended(entry.operation->status) || is_ended(operation->status))
        entry.operation = operation;
    if (told) {
        const bool failing = condition_.state == Condition::State::failing;
        if (failing) {
            outbox_.emplace_back([told] { told(Stored::failing); });
            wake_.notify();
        }
        entry.told.push_back({std::move(told), failing});
    }
    const auto due = Clock::now() + (urgency == Urgency::now ? Clock::duration::zero() : settings_.gathering);
    if (due_ && *due_ <= due) return;
    due_ = due;
    work_.notify_one();
}

void Store::Writer::add(Job job) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    work_.notify_one();
}

void Store::Writer::call_back(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    outbox_.push_back(std::move(call));
    wake_.notify();
}

void Store::Writer::suspect(const HistoryFile::Identity& file) {
    {
        const std::lock_guard lock(mutex_);
        suspected_ = file;
    }
    work_.notify_one();
}

void Store::Writer::wait_until_tried() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return tried_ || stopping_; });
}

Store::Condition Store::Writer::condition() const {
    const std::lock_guard lock(mutex_);
    Condition now = condition_;
    now.waiting = queue_.size() + in_hand_;
    return now;
}

bool Store::Writer::flush(std::chrono::steady_clock::time_point deadline) {
    bool written = false;
    {
        std::unique_lock lock(mutex_);
        const std::uint64_t failures = failures_;
        flushing_ = true;
        work_.notify_one();
        const auto is_written = [this] { return tried_ && queue_.empty() && in_hand_ == 0; };
        done_.wait_until(lock, deadline, [&] { return is_written() || failures_ != failures; });
        flushing_ = false;
        written = is_written();
    }
    deliver();
    return written;
}

void Store::Writer::deliver() {
    std::vector<std::function<void()>> calls;
    {
        const std::lock_guard lock(mutex_);
        calls.swap(outbox_);
    }
    for (const auto& call : calls)
        call();
}

void Store::Writer::run() {
    std::unique_lock lock(mutex_);
    while (wait_for_work(lock)) {
        Batch batch = take_batch();
        std::optional<Job> job;
        if (!jobs_.empty()) {
            job.emplace(std::move(jobs_.front()));
            jobs_.pop_front();
        }
        const auto suspected = std::exchange(suspected_, std::nullopt);
        lock.unlock();
        const Result<> done = work(batch, job, suspected);
        if (!done && job && !job->failed(done.error())) job.reset();
        lock.lock();
        in_hand_ = 0;
        tried_ = true;
        if (job) jobs_.push_front(std::move(*job));
        if (done) {
            for (Entry& entry : batch)
                tell(entry, Stored::committed);
            note_success();
        } else {
            put_back(std::move(batch));
            note_failure(done.error());
        }
        done_.notify_all();
    }
    lock.unlock();
    close();
}

// False: it is time to end.
bool Store::Writer::wait_for_work(std::unique_lock<std::mutex>& lock) {
    for (;;) {
        if (stopping_) return !queue_.empty() && !retry_at_;
        if (!tried_) return true;
        const auto now = Clock::now();
        std::optional<Clock::time_point> next;
        if (retry_at_)
            next = flushing_ && !queue_.empty() ? now : *retry_at_;
        else if (!jobs_.empty() || suspected_ || (flushing_ && !queue_.empty()))
            next = now;
        else if (!queue_.empty())
            next = due_;
        if (next && *next <= now) return true;
        if (next)
            work_.wait_until(lock, *next);
        else
            work_.wait(lock);
    }
}

Store::Writer::Batch Store::Writer::take_batch() {
    Batch batch;
    while (!order_.empty() && batch.size() < kMostInTransaction) {
        const auto entry = queue_.find(order_.front());
        order_.pop_front();
        batch.push_back(std::move(entry->second));
        queue_.erase(entry);
    }
    in_hand_ = batch.size();
    // What is left was queued before what comes next, and is due at once.
    due_ = queue_.empty() ? std::nullopt : std::optional(Clock::now());
    return batch;
}

void Store::Writer::put_back(Batch batch) {
    for (auto entry = batch.rbegin(); entry != batch.rend(); ++entry) {
        const OperationId id = entry->operation->id();
        Entry& queued = queue_[id];
        std::ranges::move(entry->told, std::back_inserter(queued.told));
        if (queued.operation) continue;  // A newer one has come meanwhile.
        queued.operation = std::move(entry->operation);
        order_.push_front(id);
    }
    if (!queue_.empty()) due_ = Clock::now();
}

void Store::Writer::tell(Entry& entry, Stored stored) {
    for (auto& [told, knows_of_trouble] : entry.told) {
        if (stored == Stored::failing && std::exchange(knows_of_trouble, true)) continue;
        outbox_.emplace_back([told, stored] { told(stored); });
    }
    if (!entry.told.empty()) wake_.notify();
}

void Store::Writer::note_success() {
    if (condition_.state == Condition::State::failing && settings_.warn)
        outbox_.emplace_back([this] { settings_.warn("the history is written again"); });
    wake_.notify();
    condition_.state = Condition::State::working;
    condition_.trouble.clear();
    retry_at_.reset();
    retry_delay_ = settings_.retry;
}

void Store::Writer::note_failure(const Error& error) {
    ++failures_;
    const bool off = error.code == ErrorCode::refused;
    const auto state = off ? Condition::State::off : Condition::State::failing;
    if (condition_.state != state && settings_.warn)
        outbox_.emplace_back([this, off, sentence = error.sentence()] {
            settings_.warn(off ? sentence + "; there is no history meanwhile"
                               : sentence + ": what it lacks is kept and written once that works again");
        });
    wake_.notify();
    condition_.state = state;
    condition_.trouble = error.sentence();
    for (auto& [id, entry] : queue_)
        tell(entry, off ? Stored::off : Stored::failing);
    if (off) {
        jobs_.clear();
        queue_.clear();
        order_.clear();
        retry_at_.reset();
        return;
    }
    retry_at_ = Clock::now() + retry_delay_;
    retry_delay_ = std::min<std::chrono::milliseconds>(retry_delay_ * 2, kLongestRetry);
}

Result<> Store::Writer::work(const Batch& batch, std::optional<Job>& job,
                             const std::optional<HistoryFile::Identity>& suspected) {
    for (int attempt = 0;; ++attempt) {
        const auto done = try_work(batch, job, suspected);
        if (done) {
            keep_log_small();
            return {};
        }
        const auto which = opened_ ? std::optional(opened_->identity) : std::nullopt;
        bool is_sure = attempt > 0;
        if (opened_ && done.error().code == ErrorCode::damaged && !is_sure)
            is_sure = !check_integrity(opened_->database);
        // After a failure nothing is known of what the connection still holds.
        close();
        if (done.error().code != ErrorCode::damaged || !which || attempt == 2) return done;
        if (!is_sure) continue;
        if (auto aside = set_aside(*which, done.error()); !aside) return aside;
    }
}

Result<> Store::Writer::try_work(const Batch& batch, std::optional<Job>& job,
                                 const std::optional<HistoryFile::Identity>& suspected) {
    if (auto opened = ensure_open(); !opened) return opened;
    if (suspected && *suspected == opened_->identity) {
        ++suspicions_;
        if (auto checked = check_integrity(opened_->database); !checked) return checked;
        if (suspicions_ >= kMostSuspicions)
            return failure(ErrorCode::damaged, "the history is damaged: it cannot be read");
    }
    const auto step = [&]() -> Result<> {
        const auto again = job->step(opened_->database);
        if (!again) return std::unexpected(again.error());
        if (!*again) job.reset();
        return {};
    };
    if (job && !job->after_writing)
        if (auto stepped = step(); !stepped) return stepped;
    if (!batch.empty())
        if (auto written = write(batch); !written) return written;
    return job && job->after_writing ? step() : Result<>();
}

Result<> Store::Writer::write(const Batch& batch) {
    auto transaction = Transaction::begin(opened_->database);
    if (!transaction) return std::unexpected(transaction.error());
    // A test wants to see it broken off with several operations in it.
    const auto point = [several = batch.size() > 1](const char* name) {
        if (several) kill_point(name);
    };
    TallyChange change;
    for (const Entry& entry : batch) {
        if (auto written = rows_->put(*entry.operation, owner_, change); !written) return written;
        point("row-written");
    }
    if (auto applied = change.apply(opened_->database); !applied) return applied;
    point("before-commit");
    auto committed = transaction->commit();
    point("after-commit");
    return committed;
}

Result<> Store::Writer::ensure_open() {
    if (opened_ && file_.identity() == opened_->identity) return {};
    close();
    for (bool again = false;; again = true) {
        const auto before = file_.identity();
        const auto opened = open();
        if (opened) return {};
        close();
        if (again || opened.error().code != ErrorCode::damaged || !before) return opened;
        if (auto aside = set_aside(*before, opened.error()); !aside) return aside;
    }
}

Result<> Store::Writer::open() {
    auto opened = file_.open_for_writing();
    if (!opened) return std::unexpected(opened.error());
    opened_.emplace(std::move(*opened));
    if (settings_.opened) settings_.opened(opened_->database);
    auto rows = RowWriter::prepare(opened_->database);
    if (!rows) return std::unexpected(rows.error());
    rows_.emplace(std::move(*rows));
    if (last_file_ && *last_file_ != opened_->identity && settings_.renewed)
        call_back([this] { settings_.renewed(); });
    last_file_ = opened_->identity;
    return {};
}

Result<> Store::Writer::set_aside(const HistoryFile::Identity& damaged, const Error& why) {
    const auto name = file_.set_aside(damaged, wall_now());
    if (!name) return std::unexpected(name.error());
    suspicions_ = 0;
    if (!*name) return {};
    {
        const std::lock_guard lock(mutex_);
        condition_.set_aside = **name;
    }
    if (settings_.warn)
        call_back([this, sentence = why.sentence() + "; it is kept as \"" + **name +
                                    "\", and a new one begun"] { settings_.warn(sentence); });
    return {};
}

// SQLite moves what is in the log to the file by itself after every thousand pages, but begins the log anew
// only when nobody reads. Where readers come one after the other, it is made to.
void Store::Writer::keep_log_small() {
    struct stat status{};
    if (::stat((file_.path() + "-wal").c_str(), &status) != 0 || status.st_size < kLogLimit) return;
    Database& database = opened_->database;
    static_cast<void>(database.execute("PRAGMA busy_timeout = 100"));
    static_cast<void>(database.execute("PRAGMA wal_checkpoint(TRUNCATE)"));
    static_cast<void>(database.execute("PRAGMA busy_timeout = 5000"));
}

void Store::Writer::close() {
    rows_.reset();
    opened_.reset();
}

}  // namespace cancelable
