// What the history costs: a database of many records is made, and then asked and written to as the supervisor
// does.
//
//   history-bench [RECORDS (1000000)] [DIRECTORY]
//
// Prints a line for each figure, and fails where a promise is not kept: `list -n 20 --all` and `stats` within
// 50 ms, a thousand short operations a second without the queue growing.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "engine/store.h"
#include "engine/store/file.h"
#include "engine/store/row_writer.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kInTransaction = 20'000;
constexpr auto kAllowed = 50ms;

double ms(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

Operation make_operation(OperationId id, bool has_ended) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = "job_" + std::to_string(id % 1000);
    spec->command = {"/usr/bin/python3", "train.py", "--epochs", "10", "--seed", std::to_string(id)};
    spec->cwd = "/home/somebody/projects/training";
    spec->tags = {{"project", "training"}, {"user", std::to_string(id % 50)}};
    spec->detached = id % 2 == 0;
    spec->key = "0123456789abcdef" + std::to_string(id * 7919);
    spec->created_at = WallTime(std::chrono::seconds(1'700'000'000 + static_cast<std::int64_t>(id) * 10));
    Operation operation;
    operation.spec = spec;
    if (!has_ended) return operation;
    operation.started_at = spec->created_at + 2ms;
    operation.duration = std::chrono::microseconds(1000 + id * 7919 % 10'000'000);
    operation.ended_at = *operation.started_at + *operation.duration;
    operation.usage = Usage{1500us, 250us, 1 << 20};
    if (id % 20 == 0) {
        operation.status = Status::cancelled;
        Cancelation cancelation;
        cancelation.message = "enough";
        cancelation.requested_at = *operation.ended_at - std::chrono::microseconds(id % 9000);
        cancelation.gone_at = operation.ended_at;
        cancelation.signals = {15};
        operation.cancelation = std::make_shared<const Cancelation>(std::move(cancelation));
        operation.exit = Exit{true, 15};
    } else {
        operation.status = id % 10 == 1 ? Status::failed : Status::completed;
        operation.exit = Exit{false, id % 10 == 1 ? 1 : 0};
    }
    return operation;
}

bool fill(const std::string& directory, OperationId records) {
    auto opened = HistoryFile(directory).open_for_writing();
    if (!opened) return false;
    for (OperationId id = 1; id <= records;) {
        auto transaction = Transaction::begin(opened->database);
        auto rows = RowWriter::prepare(opened->database);
        if (!transaction || !rows) return false;
        TallyChange change;
        for (int i = 0; i < kInTransaction && id <= records; ++i, ++id)
            if (!rows->put(make_operation(id, true), "bench", change)) return false;
        if (!change.apply(opened->database) || !transaction->commit()) return false;
    }
    return true;
}

// The slowest of several, without the first, which opens the connection.
template <class Call>
bool measure(const char* what, Call call, std::chrono::milliseconds allowed) {
    Clock::duration first{};
    Clock::duration worst{};
    for (int i = 0; i < 20; ++i) {
        const auto start = Clock::now();
        if (!call()) {
            std::printf("%-44s failed\n", what);
            return false;
        }
        const auto took = Clock::now() - start;
        (i == 0 ? first : worst) = i == 0 ? took : std::max(worst, took);
    }
    std::printf("%-44s first %8.2f ms, slowest of 19 %8.2f ms\n", what, ms(first), ms(worst));
    return allowed.count() == 0 || std::max(first, worst) <= allowed;
}

// A thousand operations a second, accepted, running and ended, for five seconds.
bool stream(Store& store, Loop& loop, OperationId from) {
    constexpr int kPerSecond = 1000;
    constexpr int kSeconds = 5;
    std::size_t longest = 0;
    const auto start = Clock::now();
    for (int i = 0; i < kPerSecond * kSeconds; ++i) {
        const OperationId id = from + static_cast<OperationId>(i);
        store.put(std::make_shared<const Operation>(make_operation(id, false)), Store::Urgency::soon);
        store.put(std::make_shared<const Operation>(make_operation(id, true)), Store::Urgency::soon,
                  [](Store::Stored) {});
        if (i % 10 != 9) continue;
        loop.run_once(false);
        longest = std::max(longest, store.condition().waiting);
        std::this_thread::sleep_until(start + std::chrono::microseconds(1'000'000 / kPerSecond) * (i + 1));
    }
    const auto last = Clock::now();
    const bool written = store.flush(last + 10s);
    std::printf("%-44s longest queue %zu, written %.2f ms after the last\n", "1000 operations a second",
                longest, ms(Clock::now() - last));
    return written && longest < kPerSecond;
}

bool burst(Store& store, OperationId from) {
    constexpr int kNumber = 20'000;
    const auto start = Clock::now();
    for (int i = 0; i < kNumber; ++i)
        store.put(std::make_shared<const Operation>(make_operation(from + static_cast<OperationId>(i), true)),
                  Store::Urgency::soon);
    const auto queued = Clock::now() - start;
    const bool written = store.flush(start + 1min);
    std::printf("%-44s %.0f a second; put() %.2f us each\n", "as many as it takes",
                kNumber / std::chrono::duration<double>(Clock::now() - start).count(),
                ms(queued) * 1000 / kNumber);
    return written;
}

int run(OperationId records, const std::string& directory) {
    const auto start = Clock::now();
    if (!fill(directory, records)) {
        std::puts("the database could not be made");
        return 1;
    }
    std::printf("%-44s %.0f s, %.0f MiB\n", (std::to_string(records) + " records made").c_str(),
                ms(Clock::now() - start) / 1000,
                static_cast<double>(std::filesystem::file_size(directory + "/history.db")) / (1 << 20));
    Loop loop;
    Store::Settings settings;
    settings.directory = directory;
    settings.owner = "bench";
    Store store(loop, std::move(settings));
    const auto list = [&](const HistoryQuery& query) { return store.list(query).has_value(); };
    HistoryQuery last;
    last.limit = 20;
    HistoryQuery failed = last;
    failed.selector.statuses = {Status::failed};
    HistoryQuery recent = last;
    recent.selector.since =
        WallTime(std::chrono::seconds(1'700'000'000 + static_cast<std::int64_t>(records) * 10 - 3600));
    HistoryQuery absent = last;
    absent.selector.name = "absent";
    bool kept = measure("list -n 20 --all", [&] { return list(last); }, kAllowed);
    kept = measure("stats", [&] { return store.statistics({}).has_value(); }, kAllowed) && kept;
    kept = measure("list -n 20 --status failed", [&] { return list(failed); }, kAllowed) && kept;
    kept = measure("list -n 20 --all --since 1h", [&] { return list(recent); }, kAllowed) && kept;
    kept = measure("show", [&] { return store.find(records / 2).has_value(); }, kAllowed) && kept;
    kept = measure("list --all --name absent (a full scan)", [&] { return list(absent); }, 0ms) && kept;
    kept = stream(store, loop, records + 1) && kept;
    kept = burst(store, records + 10'000) && kept;
    PruneRequest request;
    request.keep = records / 2;
    bool pruned = false;
    const auto prune_start = Clock::now();
    store.prune(request, [&](const Result<PruneResult>& result) { pruned = result.has_value() || pruned; });
    while (!pruned)
        loop.run_once(true);
    std::printf("%-44s %.1f s\n", "prune, half of it", ms(Clock::now() - prune_start) / 1000);
    return kept ? 0 : 1;
}

}  // namespace
}  // namespace cancelable

int main(int argc, char** argv) {
    const auto records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    std::string directory =
        argc > 2 ? argv[2] : std::filesystem::temp_directory_path() / "history-bench-XXXXXX";
    if (argc <= 2 && ::mkdtemp(directory.data()) == nullptr) return 1;
    const int status = cancelable::run(records, directory);
    if (argc <= 2) std::filesystem::remove_all(directory);
    return status;
}
