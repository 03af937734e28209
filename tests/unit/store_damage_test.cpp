// What a Store does with a file that is damaged, and with a disk that does not take what it is given.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <random>

#include "engine/store.h"
#include "engine/store/file.h"
#include "engine/store/row.h"
#include "tests/unit/store_support.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using testing::accepted_operation;
using testing::Directory;
using testing::ended_operation;
using testing::StoreUser;
using Ids = std::vector<OperationId>;

void fill(const std::string& directory, OperationId last) {
    StoreUser user(directory);
    user.start();
    for (OperationId id = 1; id <= last; ++id)
        user.store->put(testing::snapshot(ended_operation(id)), Store::Urgency::soon);
    REQUIRE(user.store->flush(std::chrono::steady_clock::now() + 1min));
}

void overwrite(const std::string& path, std::uintmax_t offset, const std::string& bytes) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file << bytes;
}

// The one that was set aside, without what belongs to it.
std::vector<std::string> set_aside(const Directory& directory) {
    auto names = directory.names("history.db.damaged-");
    std::erase_if(names,
                  [](const std::string& name) { return name.ends_with("-wal") || name.ends_with("-shm"); });
    return names;
}

TEST_SUITE_BEGIN("store");

TEST_CASE("a file that is no database is set aside, and a new one begun") {
    const Directory directory;
    std::ofstream(directory.path("history.db")) << std::string(10'000, 'x');
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    CHECK(user.ids() == Ids{1});
    const auto names = set_aside(directory);
    REQUIRE(names.size() == 1);
    CHECK(names[0].size() == std::string("history.db.damaged-20260301T090500").size());
    CHECK(std::filesystem::file_size(directory.path(names[0])) == 10'000);
    CHECK(user.store->condition().set_aside == directory.path(names[0]));
    REQUIRE(user.warnings.size() == 1);
    CHECK(user.warnings[0].find(names[0]) != std::string::npos);
}

TEST_CASE("somebody else's database is set aside as well") {
    const Directory directory;
    std::ofstream(directory.path("history.db")).flush();
    {
        auto other = Database::open(directory.path("history.db"), Database::Access::write, 0);
        REQUIRE(other);
        REQUIRE(other->execute("CREATE TABLE operations(x); PRAGMA user_version = 1;"));
    }
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    CHECK(set_aside(directory).size() == 1);
    CHECK(user.ids() == Ids{1});
}

TEST_CASE("a file that lost its end is set aside once that is noticed") {
    const Directory directory;
    fill(directory.path(), 500);
    std::filesystem::resize_file(directory.path("history.db"), 3 * 4096);
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(501));
    CHECK(set_aside(directory).size() == 1);
    CHECK(user.ids() == Ids{501});
}

TEST_CASE("an empty file is begun anew without a word") {
    const Directory directory;
    std::ofstream(directory.path("history.db")).flush();
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    CHECK(user.warnings.empty());
    CHECK(set_aside(directory).empty());
}

TEST_CASE("damage that a reader comes upon has the file set aside") {
    const Directory directory;
    fill(directory.path(), 2000);
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(2001));
    // All pages but the first ones, under the open connections: what they have cached stays good.
    const auto size = std::filesystem::file_size(directory.path("history.db"));
    overwrite(directory.path("history.db"), 40 * 4096, std::string(size - 40 * 4096, '\xa5'));
    bool failed = false;
    user.run_until([&] {
        HistoryQuery query;
        query.selector.name = "nothing";
        failed = failed || !user.store->list(query);
        user.store->flush(std::chrono::steady_clock::now() + 10ms);
        return !set_aside(directory).empty();
    });
    CHECK(failed);
    user.put(ended_operation(2002));
    CHECK(user.ids() == Ids{2002});
    CHECK(user.renewals == 1);
}

TEST_CASE("a file that was damaged anywhere stops nothing") {
    const Directory pristine;
    fill(pristine.path(), 300);
    const auto size = std::filesystem::file_size(pristine.path("history.db"));
    std::mt19937_64 random(20260301);  // NOLINT(cert-msc51-cpp): the same in every run
    for (int round = 0; round < 60; ++round) {
        const Directory directory;
        std::filesystem::copy_file(pristine.path("history.db"), directory.path("history.db"));
        const auto offset = random() % size;
        const auto length = std::min<std::uintmax_t>(size - offset, std::uintmax_t{1} << random() % 14);
        CAPTURE(round);
        CAPTURE(offset);
        CAPTURE(length);
        if (round % 10 == 9) {
            std::filesystem::resize_file(directory.path("history.db"), offset);
        } else {
            std::string bytes(length, '\0');
            for (char& byte : bytes)
                byte = static_cast<char>(random());
            overwrite(directory.path("history.db"), offset, bytes);
        }
        StoreUser user(directory.path());
        user.start();
        for (OperationId id = 301; id <= 310; ++id)
            user.put(ended_operation(id));
        // Whatever reading finds, it ends, and what was just written is there in the end.
        for (int tries = 0; tries < 10 && !user.store->list({}); ++tries)
            user.store->flush(std::chrono::steady_clock::now() + 1s);
        static_cast<void>(user.store->statistics({}));
        PruneRequest request;
        request.keep = 5;
        std::optional<Result<PruneResult>> pruned;
        user.store->prune(request, [&](Result<PruneResult> result) { pruned = std::move(result); });
        user.run_until([&] { return pruned.has_value(); });
        user.put(ended_operation(311));
        const auto found = user.store->find(311);
        REQUIRE(found);
        CHECK(*found);
        CHECK(user.store->condition().state == Store::Condition::State::working);
    }
}

TEST_CASE("a row whose details are damaged is an operation that says so") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    user.put(ended_operation(2));
    user.store.reset();
    {
        auto opened = HistoryFile(directory.path()).open_for_writing();
        REQUIRE(opened);
        REQUIRE(opened->database.execute("UPDATE operations SET details = x'0102' WHERE id = 1"));
    }
    user.start();
    CHECK(user.ids() == Ids{1, 2});
    const auto found = user.store->find(1);
    REQUIRE(found);
    CHECK((*found)->spec->name == "work");
    CHECK((*found)->error != "");
    CHECK(set_aside(directory).empty());
}

TEST_CASE("what a full disk does not take is said once, kept, and written when there is room") {
    const Directory directory;
    std::atomic<bool> full = true;
    StoreUser user(directory.path());
    user.settings.opened = [&](Database& database) {
        static_cast<void>(
            database.execute(full ? "PRAGMA max_page_count = 1" : "PRAGMA max_page_count = 100000"));
    };
    user.start();
    std::vector<Store::Stored> told;
    for (OperationId id = 1; id <= 200; ++id)
        user.store->put(testing::snapshot(ended_operation(id)), Store::Urgency::soon,
                        [&, id](Store::Stored stored) {
                            if (id == 200) told.push_back(stored);
                        });
    user.run_until([&] { return told.size() == 1; });
    CHECK(told[0] == Store::Stored::failing);
    CHECK(user.put_and_hear(ended_operation(201)) == Store::Stored::failing);
    CHECK(user.store->condition().state == Store::Condition::State::failing);
    // A first few may have found room in the pages that are there.
    CHECK(user.store->condition().waiting + user.ids().size() == 201);
    CHECK(user.store->condition().waiting >= 2);
    CHECK(user.store->condition().trouble.find("no space") != std::string::npos);
    full = false;
    user.run_until([&] { return told.size() == 2; });
    CHECK(told[1] == Store::Stored::committed);
    user.run_until([&] { return user.store->flush(std::chrono::steady_clock::now() + 1min); });
    CHECK(user.ids().size() == 201);
    CHECK(user.store->statistics({})->history_size == 201);
    user.run_until([&] { return user.warnings.size() == 2; });
    CHECK(user.warnings[1] == "the history is written again");
    CHECK(set_aside(directory).empty());
}

TEST_CASE("a directory that may not be written is said once and used when it may") {
    if (::geteuid() == 0) return;  // Nothing is forbidden to root.
    const Directory directory;
    std::filesystem::permissions(directory.path(),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    StoreUser user(directory.path());
    user.start();
    CHECK(user.put_and_hear(ended_operation(1)) == Store::Stored::failing);
    CHECK(!user.store->flush(std::chrono::steady_clock::now() + 1min));
    std::filesystem::permissions(directory.path(), std::filesystem::perms::owner_all);
    user.run_until([&] { return user.store->flush(std::chrono::steady_clock::now() + 1min); });
    CHECK(user.ids() == Ids{1});
}

TEST_CASE("a directory that is missing is made when it can be") {
    const Directory directory;
    std::ofstream(directory.path("state")).flush();
    StoreUser user(directory.path("state"));
    user.start();
    CHECK(user.put_and_hear(ended_operation(1)) == Store::Stored::failing);
    std::filesystem::remove(directory.path("state"));
    user.run_until([&] { return user.store->flush(std::chrono::steady_clock::now() + 1min); });
    CHECK(user.ids() == Ids{1});
}

TEST_CASE("a file that is taken away or restored from a copy is noticed before the next transaction") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    user.store.reset();
    std::filesystem::copy_file(directory.path("history.db"), directory.path("copy"));
    user.start();
    user.put(ended_operation(2));
    CHECK(user.ids() == Ids{1, 2});
    SUBCASE("taken away") {
        for (const char* name : {"history.db", "history.db-wal", "history.db-shm"})
            std::filesystem::remove(directory.path(name));
        user.put(ended_operation(3));
        CHECK(user.ids() == Ids{3});
    }
    SUBCASE("restored") {
        for (const char* name : {"history.db-wal", "history.db-shm"})
            std::filesystem::remove(directory.path(name));
        std::filesystem::rename(directory.path("copy"), directory.path("history.db"));
        user.put(ended_operation(3));
        CHECK(user.ids() == Ids{1, 3});
    }
    CHECK(user.renewals == 1);
    CHECK(set_aside(directory).empty());
}

TEST_CASE("another's lock holds up the writing and nothing else") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    auto other = HistoryFile(directory.path()).open_for_writing();
    REQUIRE(other);
    {
        auto transaction = Transaction::begin(other->database);
        REQUIRE(transaction);
        user.store->put(testing::snapshot(ended_operation(2)), Store::Urgency::now);
        CHECK(!user.store->flush(std::chrono::steady_clock::now() + 20ms));
        CHECK(user.ids() == Ids{1});
    }
    CHECK(user.store->flush(std::chrono::steady_clock::now() + 1min));
    CHECK(user.ids() == Ids{1, 2});
}

TEST_CASE("the log of the database does not grow without end while somebody always reads") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    const auto padding = std::string(20'000, 'x');
    for (OperationId id = 1; id <= 4000; ++id) {
        Operation operation = ended_operation(id);
        operation.error = padding;
        user.store->put(testing::snapshot(std::move(operation)), Store::Urgency::soon);
        if (id % 500 == 0) {
            REQUIRE(user.store->flush(std::chrono::steady_clock::now() + 1min));
            CHECK(user.store->find(id));
        }
    }
    CHECK(std::filesystem::file_size(directory.path("history.db-wal")) < 40'000'000);
}

TEST_SUITE_END();

}  // namespace
}  // namespace cancelable
