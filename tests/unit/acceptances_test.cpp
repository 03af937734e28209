#include "engine/acceptances.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <iterator>
#include <optional>
#include <string>

#include "engine/adoption.h"
#include "engine/shim/acceptance.h"
#include "tests/unit/folder.h"

namespace cancelable {
namespace {

OperationSpec named(OperationId id, const std::string& name) {
    OperationSpec spec;
    spec.id = id;
    spec.name = name;
    spec.command = {"true"};
    return spec;
}

class Written {
public:
    void accept(OperationId id, const std::string& name) { REQUIRE(acceptances_->write(named(id, name))); }
    void end(OperationId id) {
        note_beginning(directory(), id);
        acceptances_->over(id);
    }
    void stop() { acceptances_.reset(); }

    int directory() const { return folder_.descriptor.get(); }
    std::string path(const std::string& name) const { return folder_.name + "/" + name; }
    std::size_t files() const {
        const std::filesystem::directory_iterator all(folder_.name);
        return static_cast<std::size_t>(
            std::distance(std::filesystem::begin(all), std::filesystem::end(all)));
    }
    std::string accepted_name(OperationId id) const {
        const auto acceptance = read_acceptance(directory(), id);
        return acceptance && !acceptance->begun ? acceptance->spec.name : "not accepted";
    }
    ino_t inode(OperationId id) const {
        struct stat found{};
        REQUIRE(::stat(path(acceptance_name(id)).c_str(), &found) == 0);
        return found.st_ino;
    }
    Loop& loop() { return loop_; }

private:
    const Folder folder_;
    Loop loop_;
    std::optional<Acceptances> acceptances_{std::in_place, loop_, folder_.descriptor.get(),
                                            std::chrono::milliseconds(1)};
};

TEST_CASE("an acceptance is written into the file of an operation that is over") {
    Written written;
    written.accept(1, "the first, with a long name");
    const ino_t file = written.inode(1);
    written.end(1);
    written.accept(2, "short");
    CHECK(written.inode(2) == file);
    CHECK(written.accepted_name(2) == "short");
    CHECK(std::filesystem::file_size(written.path(acceptance_name(2))) ==
          encode(named(2, "short"), LaunchSettings{}).size());
    CHECK(written.files() == 1);
    written.end(2);
    written.accept(3, "the third, with a longer one than that");
    CHECK(written.inode(3) == file);
    CHECK(written.accepted_name(3) == "the third, with a longer one than that");
    CHECK(written.files() == 1);
}

TEST_CASE("where nothing is over, or its file is gone, an acceptance gets a file of its own") {
    Written written;
    written.accept(1, "one");
    written.accept(2, "two");
    written.end(1);
    written.end(2);
    remove_beginning(written.directory(), 2);
    std::filesystem::remove(written.path(beginning_name(1)));
    std::filesystem::create_directory(written.path(beginning_name(1)));
    written.accept(3, "three");
    CHECK(written.accepted_name(3) == "three");
    std::filesystem::remove(written.path(beginning_name(1)));
    CHECK(written.files() == 1);
}

TEST_CASE("files that nobody needs do not stay, and few wait") {
    Written written;
    constexpr OperationId kMany = 100;
    for (OperationId id = 1; id <= kMany; ++id)
        written.accept(id, "one of many");
    for (OperationId id = 1; id <= kMany; ++id)
        written.end(id);
    CHECK(written.files() == 64);
    SUBCASE("for long") {
        while (written.files() > 0)
            written.loop().run_once(true);
    }
    SUBCASE("when the supervisor leaves") {
        written.stop();
        CHECK(written.files() == 0);
    }
}

TEST_CASE("a supervisor that was killed while it wrote into such a file leaves nothing to the next one") {
    Written written;
    written.accept(1, "one");
    note_beginning(written.directory(), 1);
    std::filesystem::rename(written.path(beginning_name(1)), written.path(beginning_name(2)));
    const auto left = find_left_operations(written.directory());
    REQUIRE(left);
    CHECK(left->empty());
    CHECK(written.files() == 0);
}

}  // namespace
}  // namespace cancelable
