#include "engine/store/prune.h"

#include <doctest/doctest.h>

#include <array>
#include <fstream>
#include <random>

#include "engine/retention.h"
#include "engine/store.h"
#include "tests/unit/store_support.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using testing::accepted_operation;
using testing::Directory;
using testing::ended_operation;
using testing::StoreUser;
using Ids = std::vector<OperationId>;

constexpr std::array kEnds{Status::completed, Status::failed, Status::cancelled, Status::timeout,
                           Status::lost};

// One to nine, of which 3, 6 and 9 have failed; ten has not ended.
void fill(StoreUser& user) {
    user.start();
    for (OperationId id = 1; id <= 9; ++id)
        user.store->put(
            testing::snapshot(ended_operation(id, id % 3 == 0 ? Status::failed : Status::completed)),
            Store::Urgency::soon);
    user.put(accepted_operation(10));
}

TEST_SUITE_BEGIN("store");

TEST_CASE("pruning takes what meets all that is said, and tells how many it would be") {
    const Directory directory;
    StoreUser user(directory.path());
    fill(user);
    PruneRequest request;
    Ids stay;
    SUBCASE("by number") {
        request.keep = 4;
        stay = {6, 7, 8, 9};
    }
    SUBCASE("by age") {
        request.ended_before = ended_operation(4).ended_at;
        stay = {4, 5, 6, 7, 8, 9};
    }
    SUBCASE("by status") {
        request.statuses = {Status::failed};
        stay = {1, 2, 4, 5, 7, 8};
    }
    SUBCASE("by number of a status") {
        request.statuses = {Status::failed, Status::lost};
        request.keep = 1;
        stay = {1, 2, 4, 5, 7, 8, 9};
    }
    SUBCASE("by age, and not the last ones") {
        request.ended_before = ended_operation(9).ended_at;
        request.keep = 7;
        stay = {3, 4, 5, 6, 7, 8, 9};
    }
    SUBCASE("all that has ended") {
        request.keep = 0;
        stay = {};
    }
    SUBCASE("nothing") {
        request.keep = 9;
        stay = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    }
    const auto counted = user.store->count_prunable(request);
    REQUIRE(counted);
    CHECK(counted->operations == 9 - stay.size());
    CHECK(user.ids().size() == 9);
    CHECK(user.prune(request).operations == counted->operations);
    CHECK(user.ids() == stay);
    CHECK(user.forgotten.size() == counted->operations);
    CHECK(user.recover().operations.size() == 1);
    CHECK(user.store->statistics({})->total_operations == 9);
}

TEST_CASE("what is queued when pruning is asked for is pruned too") {
    const Directory directory;
    StoreUser user(directory.path());
    user.settings.gathering = 1h;
    user.start();
    user.store->put(testing::snapshot(ended_operation(1)), Store::Urgency::soon);
    PruneRequest request;
    request.keep = 0;
    CHECK(user.prune(request).operations == 1);
}

TEST_CASE("logs go with their operations, and no other file does") {
    const Directory directory;
    std::filesystem::create_directory(directory.path("logs"));
    for (const char* name : {"logs/1.log", "logs/2.log", "logs/3.log", "precious"})
        std::ofstream(directory.path(name)) << "text";
    StoreUser user(directory.path());
    user.start();
    for (OperationId id = 1; id <= 3; ++id) {
        Operation operation = ended_operation(id);
        auto spec = std::make_shared<OperationSpec>(*operation.spec);
        // What a damaged row might say.
        spec->log =
            id == 2 ? directory.path("precious") : directory.path("logs/" + std::to_string(id) + ".log");
        operation.spec = spec;
        user.put(operation);
    }
    PruneRequest request;
    request.keep = 1;
    const PruneResult pruned = user.prune(request);
    CHECK(pruned.operations == 2);
    CHECK(pruned.logs == 2);
    CHECK(std::filesystem::exists(directory.path("precious")));
    CHECK(std::filesystem::exists(directory.path("logs/3.log")));
    CHECK(!std::filesystem::exists(directory.path("logs/1.log")));
}

TEST_CASE("statistics stay those of what is left, however it was put and pruned") {
    const Directory directory;
    StoreUser user(directory.path());
    user.start();
    std::mt19937_64 random(4);  // NOLINT(cert-msc51-cpp): the same in every run
    for (int round = 0; round < 8; ++round) {
        for (int count = 0; count < 300; ++count) {
            const OperationId id = 1 + random() % 1500;
            user.store->put(testing::snapshot(ended_operation(id, kEnds[random() % kEnds.size()])),
                            Store::Urgency::soon);
        }
        PruneRequest request;
        if (round % 2 == 0) request.statuses = {kEnds[random() % kEnds.size()]};
        if (round % 3 == 0) request.ended_before = ended_operation(500).ended_at;
        request.keep = random() % 400;
        user.prune(request);
    }
    Tally tally;
    const auto left = user.store->list({});
    REQUIRE(left);
    for (const Snapshot& operation : *left)
        tally.add_ended(*operation);
    const Statistics expected = tally.statistics({}, {});
    const auto found = user.store->statistics({});
    REQUIRE(found);
    CHECK(found->history_size == left->size());
    CHECK(found->total_completed == expected.total_completed);
    CHECK(found->cancelled_operations == expected.cancelled_operations);
    CHECK(found->escalated == expected.escalated);
    CHECK(found->average_duration_seconds == doctest::Approx(expected.average_duration_seconds));
    CHECK(found->duration.p50 == doctest::Approx(expected.duration.p50).epsilon(0.01));
    CHECK(found->duration.p90 == doctest::Approx(expected.duration.p90).epsilon(0.01));
    CHECK(found->cancel_latency.p99 == doctest::Approx(expected.cancel_latency.p99).epsilon(0.01));
}

TEST_CASE("retention keeps as many as it is told") {
    const Directory directory;
    StoreUser user(directory.path());
    fill(user);
    std::vector<std::string> lines;
    const Retention retention(user.loop, *user.store, {.operations = 2, .age = {}},
                              [&](const std::string& line) { lines.push_back(line); });
    user.run_until([&] { return !lines.empty(); });
    CHECK(user.ids() == Ids{8, 9});
}

TEST_CASE("retention forgets what ended too long ago") {
    const Directory directory;
    StoreUser user(directory.path());
    fill(user);
    Operation recent = ended_operation(11);
    recent.ended_at = wall_now();
    user.put(recent);
    std::vector<std::string> lines;
    const Retention retention(user.loop, *user.store, {.operations = 0, .age = 1h},
                              [&](const std::string& line) { lines.push_back(line); });
    user.run_until([&] { return !lines.empty(); });
    CHECK(user.ids() == Ids{11});
}

TEST_SUITE_END();

}  // namespace
}  // namespace cancelable
