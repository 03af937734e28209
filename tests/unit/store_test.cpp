#include "engine/store.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>

#include "engine/store/file.h"
#include "engine/store/row.h"
#include "engine/store/schema.h"
#include "tests/unit/store_support.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using testing::accepted_operation;
using testing::Directory;
using testing::ended_operation;
using testing::kSomeDay;
using testing::StoreUser;
using Ids = std::vector<OperationId>;

TEST_SUITE_BEGIN("store");

TEST_CASE("an operation comes back from the history with every field") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    Operation operation = ended_operation(12, Status::cancelled, "train");
    auto spec = std::make_shared<OperationSpec>(*operation.spec);
    spec->name =
        "tr\xff"
        "ain";
    spec->tags = {{"user", "42"}};
    spec->parent = 3;
    spec->detached = true;
    spec->timeout = 90s;
    spec->grace = 2500ms;
    spec->signal = SIGINT;
    spec->orphans = Orphans::wait;
    spec->log = "/var/log/12.log";
    spec->key = "k";
    operation.spec = spec;
    operation.error = "why";
    operation.progress = std::make_shared<const Progress>(Progress{0.4, "epoch 4", kSomeDay});
    operation.result = std::make_shared<const std::string>("a\0b", 3);
    user.put(operation);
    user.start();
    const auto found = user.store->find(12);
    REQUIRE(found);
    REQUIRE(*found);
    // Their encodings are the same bytes where their fields are the same.
    CHECK(encode_details(**found) == encode_details(operation));
    CHECK((*found)->status == Status::cancelled);
    CHECK((*found)->started_at == operation.started_at);
    CHECK((*found)->ended_at == operation.ended_at);
    CHECK((*found)->duration == operation.duration);
    CHECK((*found)->exit == operation.exit);
    CHECK((*found)->cancelation->gone_at == operation.cancelation->gone_at);
    CHECK((*found)->spec->tags == spec->tags);
    CHECK((*found)->spec->name == spec->name);
    CHECK((*found)->progress->fraction == 0.4);
    CHECK(*(*found)->result == std::string("a\0b", 3));
    CHECK((*found)->usage->max_rss_bytes == 1 << 20);
}

TEST_CASE("an operation that nobody could describe keeps what is known of it") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    Operation operation = ended_operation(5, Status::lost, "unknown");
    auto spec = std::make_shared<OperationSpec>(*operation.spec);
    spec->command.clear();
    operation.spec = spec;
    operation.error = "it ended without a record";
    user.put(operation);
    const auto found = user.store->find(5);
    REQUIRE(found);
    REQUIRE(*found);
    CHECK((*found)->error == "it ended without a record");
    CHECK((*found)->spec->name == "unknown");
    CHECK((*found)->spec->created_at == spec->created_at);
}

TEST_CASE("the database belongs to its owner alone") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(ended_operation(1));
    for (const char* name : {"history.db", "history.db-wal", "history.db-shm"}) {
        struct stat status{};
        REQUIRE(::stat(directory.path(name).c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0600);
    }
}

TEST_CASE("an operation that comes twice is there and counted once") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(accepted_operation(1));
    user.put(ended_operation(1, Status::failed));
    user.put(ended_operation(1, Status::failed));
    user.put(accepted_operation(1));
    CHECK(user.ids() == Ids{1});
    const auto statistics = user.store->statistics({});
    REQUIRE(statistics);
    CHECK(statistics->history_by_status == std::map<Status, std::uint64_t>{{Status::failed, 1}});
    user.put(ended_operation(1, Status::completed));
    CHECK(user.store->statistics({})->history_by_status ==
          std::map<Status, std::uint64_t>{{Status::completed, 1}});
}

TEST_CASE("what is queued is replaced by what comes later and all who wait are told") {
    const Directory directory;
    StoreUser user(directory.path());
    user.settings.gathering = 1h;
    user.start();
    REQUIRE(user.ids().empty());  // The writer opens the file first, and takes what is there by then.
    int told = 0;
    const auto count = [&](Store::Stored stored) { told += stored == Store::Stored::committed ? 1 : 0; };
    user.store->put(testing::snapshot(accepted_operation(1)), Store::Urgency::soon, count);
    user.store->put(testing::snapshot(ended_operation(1)), Store::Urgency::soon, count);
    CHECK(user.store->condition().waiting == 1);
    CHECK(user.store->flush(std::chrono::steady_clock::now() + 1min));
    CHECK(told == 2);
    CHECK(user.ids() == Ids{1});
}

TEST_CASE("what was queued is written when the store goes") {
    const Directory directory;
    StoreUser user(directory.path());
    user.settings.gathering = 1h;
    user.start();
    for (OperationId id = 1; id <= 2000; ++id)
        user.store->put(testing::snapshot(ended_operation(id)), Store::Urgency::soon);
    user.store.reset();
    user.start();
    CHECK(user.ids().size() == 2000);
}

TEST_CASE("queries find what their selectors say, the last ones first to be kept") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    for (OperationId id = 1; id <= 9; ++id) {
        Operation operation =
            ended_operation(id, id % 3 == 0 ? Status::failed : Status::completed, id < 5 ? "build" : "test");
        auto spec = std::make_shared<OperationSpec>(*operation.spec);
        spec->tags = {{"odd", std::to_string(id % 2)}};
        spec->parent = id == 7 || id == 8 ? 2 : 0;
        spec->key = "key" + std::to_string(id);
        operation.spec = spec;
        user.put(operation);
    }
    user.put(accepted_operation(10));
    HistoryQuery query;
    SUBCASE("all of them, without those that have not ended") {
        CHECK(user.ids() == Ids{1, 2, 3, 4, 5, 6, 7, 8, 9});
    }
    SUBCASE("the last so many") {
        query.limit = 2;
        CHECK(user.ids(query) == Ids{8, 9});
    }
    SUBCASE("none of them") {
        query.limit = 0;
        CHECK(user.ids(query) == Ids{});
    }
    SUBCASE("by id") {
        query.selector.ids = {9, 2, 2, 10, 77};
        CHECK(user.ids(query) == Ids{2, 9});
    }
    SUBCASE("by id or glob") {
        query.selector.ids = {9};
        query.selector.globs = {"bui*"};
        CHECK(user.ids(query) == Ids{1, 2, 3, 4, 9});
    }
    SUBCASE("by name") {
        query.selector.name = "[t]est";
        query.limit = 3;
        CHECK(user.ids(query) == Ids{7, 8, 9});
    }
    SUBCASE("by tag") {
        query.selector.tags = {{"odd", "0"}};
        query.limit = 2;
        CHECK(user.ids(query) == Ids{6, 8});
    }
    SUBCASE("by one status") {
        query.selector.statuses = {Status::failed};
        CHECK(user.ids(query) == Ids{3, 6, 9});
    }
    SUBCASE("by several") {
        query.selector.statuses = {Status::failed, Status::completed};
        query.limit = 4;
        CHECK(user.ids(query) == Ids{6, 7, 8, 9});
    }
    SUBCASE("by parent") {
        query.selector.parent = 2;
        CHECK(user.ids(query) == Ids{7, 8});
    }
    SUBCASE("of no parent") {
        query.selector.parent = 0;
        query.limit = 2;
        CHECK(user.ids(query) == Ids{6, 9});
    }
    SUBCASE("since and until") {
        query.selector.since = kSomeDay + 3s;
        query.selector.until = kSomeDay + 5s;
        CHECK(user.ids(query) == Ids{3, 4, 5});
    }
    SUBCASE("until alone") {
        query.selector.until = kSomeDay + 2s;
        CHECK(user.ids(query) == Ids{1, 2});
    }
    SUBCASE("by key") {
        query.key = "key4";
        CHECK(user.ids(query) == Ids{4});
    }
}

TEST_CASE("a query whose token is set ends early") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    for (OperationId id = 1; id <= 2000; ++id)
        user.store->put(testing::snapshot(ended_operation(id)), Store::Urgency::soon);
    user.store->flush(std::chrono::steady_clock::now() + 1min);
    CancelationToken token;
    token.cancel(CancelationReason::shutdown);
    HistoryQuery query;
    query.selector.name = "nothing";
    const auto found = user.store->list(query, token);
    REQUIRE(!found);
    CHECK(found.error().os_errno == ECANCELED);
    CHECK(user.store->list(query));
}

TEST_CASE("statistics of the database are those of its operations, and of what is not in it yet") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    Tally tally;
    for (OperationId id = 1; id <= 200; ++id) {
        const auto status = std::array{Status::completed, Status::failed, Status::cancelled, Status::timeout,
                                       Status::lost}[id % 5];
        tally.add_ended(ended_operation(id, status));
        if (id <= 190) user.store->put(testing::snapshot(ended_operation(id, status)), Store::Urgency::soon);
    }
    user.store->flush(std::chrono::steady_clock::now() + 1min);
    std::vector<Snapshot> more;
    for (OperationId id = 180; id <= 200; ++id)
        more.push_back(testing::snapshot(
            ended_operation(id, std::array{Status::completed, Status::failed, Status::cancelled,
                                           Status::timeout, Status::lost}[id % 5])));
    const auto found = user.store->statistics(more);
    REQUIRE(found);
    const Statistics expected = tally.statistics({}, {});
    CHECK(found->history_size == 200);
    CHECK(found->total_operations == 200);
    CHECK(found->history_by_status.at(Status::timeout) == 40);
    CHECK(found->total_completed == expected.total_completed);
    CHECK(found->cancelled_operations == expected.cancelled_operations);
    CHECK(found->escalated == expected.escalated);
    CHECK(found->average_duration_seconds == doctest::Approx(expected.average_duration_seconds));
    CHECK(found->duration.p50 == doctest::Approx(expected.duration.p50).epsilon(0.01));
    CHECK(found->duration.p99 == doctest::Approx(expected.duration.p99).epsilon(0.01));
    CHECK(found->cancel_latency.p90 == doctest::Approx(expected.cancel_latency.p90).epsilon(0.01));
}

TEST_CASE("what was accepted and has not ended is recovered by its own supervisor") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(accepted_operation(1));
    Operation running = accepted_operation(2, "server");
    running.status = Status::running;
    running.started_at = kSomeDay + 1min;
    user.put(running);
    user.put(ended_operation(3));
    user.start();
    const Unended mine = user.recover();
    REQUIRE(mine.operations.size() == 2);
    CHECK(mine.last_id == 3);
    CHECK(mine.operations[1].spec->name == "server");
    CHECK(mine.operations[1].started_at == running.started_at);
    StoreUser other(directory.path());
    other.settings.owner = "/elsewhere";
    other.start();
    CHECK(other.recover().operations.empty());
    CHECK(other.recover().last_id == 3);
}

TEST_CASE("what was accepted before the machine went down is recovered by whoever comes first") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    user.put(accepted_operation(1));
    user.store.reset();
    {
        auto opened = HistoryFile(directory.path()).open_for_writing();
        REQUIRE(opened);
        REQUIRE(opened->database.execute(
            "UPDATE operations SET owner = 'another-boot:/run/user/1000/cancelable'"));
    }
    user.settings.owner = "/elsewhere";
    user.start();
    CHECK(user.recover().operations.size() == 1);
}

TEST_CASE("two stores share one directory and see each other's operations") {
    const Directory directory;
    StoreUser one(directory.path());
    StoreUser other(directory.path());
    other.settings.owner = "/elsewhere";
    one.start();
    other.start();
    for (OperationId id = 1; id <= 400; id += 2) {
        one.store->put(testing::snapshot(ended_operation(id)), Store::Urgency::now);
        other.store->put(testing::snapshot(ended_operation(id + 1)), Store::Urgency::now);
    }
    CHECK(one.store->flush(std::chrono::steady_clock::now() + 1min));
    CHECK(other.store->flush(std::chrono::steady_clock::now() + 1min));
    CHECK(one.ids().size() == 400);
    CHECK(other.ids().size() == 400);
    CHECK(one.store->statistics({})->history_size == 400);
}

TEST_CASE("a file of an older version is brought forward with all that is in it") {
    const Directory directory;
    {
        StoreUser user(directory.path());
        user.start();
        user.put(ended_operation(7));
    }
    const std::array steps{schema_steps()[0],
                           "CREATE TABLE more(x); INSERT INTO more SELECT count(*) FROM operations;"};
    StoreUser newer(directory.path());
    newer.settings.schema = steps;
    newer.start();
    CHECK(newer.ids() == Ids{7});
    newer.put(ended_operation(8));
    newer.store.reset();
    auto opened = HistoryFile(directory.path(), steps).open_for_writing();
    REQUIRE(opened);
    CHECK(opened->database.number("SELECT x FROM more").value_or(-1) == 1);
    CHECK(opened->database.number("PRAGMA user_version").value_or(-1) == 2);
}

TEST_CASE("a step forward that fails leaves the file as it was") {
    const Directory directory;
    {
        StoreUser user(directory.path());
        user.start();
        user.put(ended_operation(7));
    }
    const std::array steps{schema_steps()[0], "CREATE TABLE more(x); CREATE TABLE operations(y);"};
    {
        auto opened = HistoryFile(directory.path(), steps).open_for_writing();
        CHECK(!opened);
    }
    StoreUser user(directory.path());
    user.start();
    CHECK(user.ids() == Ids{7});
}

TEST_CASE("a file of a newer version is left alone") {
    const Directory directory;
    const std::array steps{schema_steps()[0], "CREATE TABLE more(x);"};
    {
        StoreUser newer(directory.path());
        newer.settings.schema = steps;
        newer.start();
        newer.put(ended_operation(7));
    }
    StoreUser user(directory.path());
    user.start();
    CHECK(user.put_and_hear(ended_operation(8)) == Store::Stored::off);
    CHECK(user.put_and_hear(ended_operation(9)) == Store::Stored::off);
    CHECK(user.store->condition().state == Store::Condition::State::off);
    CHECK(!user.store->list({}));
    user.run_until([&] { return !user.warnings.empty(); });
    CHECK(user.warnings.size() == 1);
    CHECK(user.warnings[0].find("later version") != std::string::npos);
    user.store.reset();
    CHECK(directory.names("history.db").size() == 1);
    StoreUser newer(directory.path());
    newer.settings.schema = steps;
    newer.start();
    CHECK(newer.ids() == Ids{7});
}

TEST_SUITE_END();

}  // namespace
}  // namespace cancelable
