// A Store in a directory of its own, and operations to put into it.
#pragma once

#include <stdlib.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"

namespace cancelable::testing {

class Directory {
public:
    Directory() {
        std::string pattern = std::filesystem::temp_directory_path() / "cancelable-store-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = pattern;
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    std::string path(const std::string& name = {}) const { return name.empty() ? path_ : path_ + "/" + name; }

    // Names in it that begin like this.
    std::vector<std::string> names(const std::string& beginning) const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            if (const std::string name = entry.path().filename(); name.starts_with(beginning))
                names.push_back(name);
        return names;
    }

private:
    std::string path_;
};

inline constexpr WallTime kSomeDay{std::chrono::seconds(1'772'355'900)};

inline Operation accepted_operation(OperationId id, const std::string& name = "work") {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = name;
    spec->command = {name, "--fast"};
    spec->cwd = "/home/x";
    spec->created_at = kSomeDay + std::chrono::seconds(id);
    Operation operation;
    operation.spec = std::move(spec);
    return operation;
}

inline Operation ended_operation(OperationId id, Status status = Status::completed,
                                 const std::string& name = "work") {
    Operation operation = accepted_operation(id, name);
    operation.status = status;
    operation.started_at = operation.spec->created_at + std::chrono::milliseconds(2);
    operation.duration = std::chrono::milliseconds(10 * id);
    operation.ended_at = *operation.started_at + *operation.duration;
    if (status == Status::completed) operation.exit = Exit{};
    if (status == Status::failed) operation.exit = Exit{false, 3};
    if (status == Status::cancelled || status == Status::timeout) {
        operation.exit = Exit{true, SIGKILL};
        Cancelation cancelation;
        cancelation.reason =
            status == Status::timeout ? CancelationReason::timeout : CancelationReason::manual;
        cancelation.message = "enough";
        cancelation.by = {1000, 77};
        cancelation.signal = SIGTERM;
        cancelation.requested_at = *operation.ended_at - std::chrono::milliseconds(7);
        cancelation.gone_at = operation.ended_at;
        cancelation.signals = {SIGTERM, SIGKILL};
        cancelation.processes = 5;
        operation.cancelation = std::make_shared<const Cancelation>(std::move(cancelation));
    }
    operation.usage = Usage{std::chrono::microseconds(1500), std::chrono::microseconds(250), 1 << 20};
    return operation;
}

inline Snapshot snapshot(Operation operation) {
    return std::make_shared<const Operation>(std::move(operation));
}

// Stores, one after the other or at once, of one directory.
class StoreUser {
public:
    explicit StoreUser(std::string directory) { settings.directory = std::move(directory); }

    Store& start() {
        settings.owner = settings.owner.empty() ? "/run/user/1000/cancelable" : settings.owner;
        settings.warn = [this](const std::string& sentence) { warnings.push_back(sentence); };
        settings.renewed = [this] { ++renewals; };
        settings.forgotten = [this](const std::vector<OperationId>& ids) {
            forgotten.insert(forgotten.end(), ids.begin(), ids.end());
        };
        settings.retry = std::chrono::milliseconds(5);
        store = std::make_unique<Store>(loop, settings);
        return *store;
    }

    void run_until(const std::function<bool()>& holds) {
        while (!holds())
            loop.run_once(true);
    }

    // Returns once it is committed.
    void put(const Operation& operation) {
        bool committed = false;
        store->put(snapshot(operation), Store::Urgency::now, [&](Store::Stored stored) {
            committed = committed || stored == Store::Stored::committed;
        });
        run_until([&] { return committed; });
    }

    // The first that is told.
    Store::Stored put_and_hear(const Operation& operation) {
        auto heard = std::make_shared<std::optional<Store::Stored>>();
        store->put(snapshot(operation), Store::Urgency::now, [heard](Store::Stored stored) {
            if (!*heard) *heard = stored;
        });
        run_until([&] { return heard->has_value(); });
        return **heard;
    }

    std::vector<OperationId> ids(const HistoryQuery& query = {}) {
        const auto found = store->list(query);
        if (!found) throw std::runtime_error(found.error().sentence());
        std::vector<OperationId> ids;
        for (const Snapshot& operation : *found)
            ids.push_back(operation->id());
        return ids;
    }

    Unended recover() {
        std::optional<Unended> unended;
        store->recover({}, [&](Unended found) { unended = std::move(found); });
        run_until([&] { return unended.has_value(); });
        return *unended;
    }

    PruneResult prune(const PruneRequest& request) {
        std::optional<Result<PruneResult>> result;
        store->prune(request, [&](Result<PruneResult> pruned) { result = std::move(pruned); });
        run_until([&] { return result.has_value(); });
        if (!*result) throw std::runtime_error(result->error().sentence());
        return **result;
    }

    Loop loop;
    Store::Settings settings;
    std::unique_ptr<Store> store;
    std::vector<std::string> warnings;
    std::vector<OperationId> forgotten;
    int renewals = 0;
};

}  // namespace cancelable::testing
