#include "engine/history_writer.h"

#include <doctest/doctest.h>

#include <atomic>

#include "engine/process/fd.h"
#include "engine/shim/acceptance.h"
#include "engine/store/file.h"
#include "tests/unit/store_support.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;
using testing::Directory;
using testing::ended_operation;
using testing::StoreUser;

struct World {
    World() : user(directory.path("state")) {
        std::filesystem::create_directory(directory.path("ops"));
        operations = open_file(directory.path("ops").c_str(), O_RDONLY | O_DIRECTORY).value();
    }

    HistoryWriter& start(std::chrono::milliseconds patience = 1h) {
        user.start();
        HistoryWriter::Settings settings;
        settings.store = user.store.get();
        settings.operations_directory = operations.get();
        settings.clear = [this](OperationId id, const HistoryWriter::Source&) {
            remove_traces(operations.get(), id);
        };
        settings.patience = patience;
        writer = std::make_unique<HistoryWriter>(user.loop, std::move(settings));
        return *writer;
    }

    // More than fits into a file that may not grow (max_page_count).
    static Operation large(Operation operation) {
        auto spec = std::make_shared<OperationSpec>(*operation.spec);
        spec->command.emplace_back(50'000, 'x');
        operation.spec = std::move(spec);
        return operation;
    }

    HistoryWriter::Source source(OperationId id) {
        HistoryWriter::Source from;
        from.report.emplace();
        from.report->id = id;
        from.report->over = true;
        from.report->wait_status = 3 << 8;
        from.release = [this] { ++released; };
        return from;
    }

    bool has_record(OperationId id) const {
        return std::filesystem::exists(directory.path("ops/" + exit_record_name(id)));
    }

    Directory directory;
    UniqueFd operations;
    StoreUser user;
    std::unique_ptr<HistoryWriter> writer;
    int released = 0;
};

TEST_SUITE_BEGIN("store");

TEST_CASE("a shim is released once its operation's end is committed, and leaves no record") {
    World world;
    HistoryWriter& writer = world.start();
    writer.ended(testing::snapshot(ended_operation(1, Status::failed)), world.source(1));
    CHECK(world.released == 0);
    CHECK(writer.is_unwritten(1));
    world.user.run_until([&] { return world.released == 1; });
    CHECK(!writer.is_unwritten(1));
    CHECK(world.user.ids() == std::vector<OperationId>{1});
    CHECK(!world.has_record(1));
}

TEST_CASE("where the store cannot write, the end is kept as a record until it can") {
    World world;
    std::atomic<bool> full = true;
    world.user.settings.opened = [&](Database& database) {
        static_cast<void>(
            database.execute(full ? "PRAGMA max_page_count = 1" : "PRAGMA max_page_count = 100000"));
    };
    HistoryWriter& writer = world.start();
    writer.ended(testing::snapshot(World::large(ended_operation(1, Status::failed))), world.source(1));
    world.user.run_until([&] { return world.released == 1; });
    const auto record = read_exit_record(world.operations.get(), 1);
    REQUIRE(record);
    CHECK(record->report.wait_status == 3 << 8);
    CHECK(record->why_lost.empty());
    CHECK(writer.unwritten().size() == 1);
    full = false;
    world.user.run_until([&] { return writer.unwritten().empty(); });
    CHECK(!world.has_record(1));
    CHECK(world.released == 1);
    CHECK(world.user.ids() == std::vector<OperationId>{1});
}

TEST_CASE("the record of a lost operation says why it is lost") {
    World world;
    world.user.settings.opened = [&](Database& database) {
        static_cast<void>(database.execute("PRAGMA max_page_count = 1"));
    };
    HistoryWriter& writer = world.start();
    Operation lost = World::large(ended_operation(1, Status::lost));
    lost.error = "its shim was killed";
    writer.ended(testing::snapshot(lost), {});
    world.user.run_until([&] { return world.has_record(1); });
    const auto record = read_exit_record(world.operations.get(), 1);
    REQUIRE(record);
    CHECK(record->why_lost == "its shim was killed");
    CHECK(record->report.over_at == lost.ended_at);
    writer.finish(std::chrono::steady_clock::now());
}

TEST_CASE("a store that says nothing holds up no shim and no answer") {
    World world;
    HistoryWriter& writer = world.start(1ms);
    world.user.put(ended_operation(1));
    auto other = HistoryFile(world.directory.path("state")).open_for_writing();
    REQUIRE(other);
    auto transaction = Transaction::begin(other->database);
    REQUIRE(transaction);
    bool confirmed = false;
    writer.confirm(testing::snapshot(testing::accepted_operation(2)), [&] { confirmed = true; });
    writer.ended(testing::snapshot(ended_operation(3)), world.source(3));
    world.user.run_until([&] { return confirmed && world.released == 1; });
    CHECK(world.has_record(3));
}

TEST_CASE("a supervisor that leaves has written every end somewhere") {
    World world;
    world.user.settings.gathering = 1h;
    SUBCASE("into the store") {
        HistoryWriter& writer = world.start();
        writer.ended(testing::snapshot(ended_operation(1)), world.source(1));
        writer.finish(std::chrono::steady_clock::now() + 1min);
        CHECK(world.user.ids() == std::vector<OperationId>{1});
        CHECK(!world.has_record(1));
    }
    SUBCASE("or as a record") {
        world.user.settings.opened = [&](Database& database) {
            static_cast<void>(database.execute("PRAGMA max_page_count = 1"));
        };
        HistoryWriter& writer = world.start();
        writer.ended(testing::snapshot(World::large(ended_operation(1))), world.source(1));
        writer.finish(std::chrono::steady_clock::now() + 1min);
        CHECK(world.has_record(1));
    }
    CHECK(world.released == 1);
}

TEST_CASE("without a store shims are released at once") {
    World world;
    HistoryWriter writer(world.user.loop, {});
    writer.ended(testing::snapshot(ended_operation(1)), world.source(1));
    CHECK(world.released == 1);
    bool confirmed = false;
    writer.confirm(testing::snapshot(testing::accepted_operation(2)), [&] { confirmed = true; });
    CHECK(confirmed);
}

TEST_SUITE_END();

}  // namespace
}  // namespace cancelable
