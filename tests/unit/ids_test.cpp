#include "engine/ids.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "tests/unit/folder.h"

namespace cancelable {
namespace {

struct Folders {
    Folder runtime;
    Folder state;
};

TEST_CASE("ids count from one, and go on where a source ended in peace") {
    const Folders folders;
    {
        IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
        CHECK(*ids.next() == 1);
        CHECK(*ids.next() == 2);
    }
    IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
    CHECK(*ids.next() == 3);
}

TEST_CASE("an id is never used twice after a crash") {
    const Folders folders;
    OperationId last = 0;
    for (int crash = 0; crash < 5; ++crash) {
        // Leaked on purpose, as a killed process leaks it: its destructor gives nothing back.
        auto* ids = new IdSource(folders.runtime.descriptor.get(), folders.state.descriptor.get());
        for (int i = 0; i < 70; ++i) {
            const auto id = ids->next();
            REQUIRE(id);
            CHECK(*id > last);
            last = *id;
        }
        ::operator delete(ids);
    }
}

TEST_CASE("sources that share a state directory never give the same id") {
    const Folders folders;
    IdSource one(folders.runtime.descriptor.get(), folders.state.descriptor.get());
    IdSource two(folders.runtime.descriptor.get(), folders.state.descriptor.get());
    std::vector<OperationId> all;
    for (int i = 0; i < 200; ++i) {
        all.push_back(*one.next());
        all.push_back(*two.next());
    }
    std::ranges::sort(all);
    CHECK(std::ranges::adjacent_find(all) == all.end());
}

TEST_CASE("a state directory restored from an older copy brings no id back") {
    const Folders folders;
    OperationId last = 0;
    {
        IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
        for (int i = 0; i < 10; ++i)
            last = *ids.next();
    }
    std::ofstream(folders.state.name + "/ids") << "00000000000000000003\n";
    IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
    CHECK(*ids.next() == last + 1);
}

TEST_CASE("ids go on without a state directory, and past those that are seen in use") {
    const Folders folders;
    IdSource ids(folders.runtime.descriptor.get(), -1);
    CHECK(*ids.next() == 1);
    ids.skip_to(1000);
    CHECK(*ids.next() == 1001);
    CHECK_FALSE(IdSource(-1, -1).next());
}

TEST_CASE("a file of ids that is full of nonsense leaves the word to the other") {
    for (const char* nonsense :
         {"", "x", "12x", "18446744073709551615\n", "99999999999999999999999\n", "-5\n"}) {
        CAPTURE(nonsense);
        for (const auto damaged : {&Folders::runtime, &Folders::state}) {
            const Folders folders;
            OperationId last = 0;
            {
                IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
                for (int i = 0; i < 10; ++i)
                    last = *ids.next();
            }
            std::ofstream((folders.*damaged).name + "/ids") << nonsense;
            IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
            CHECK(*ids.next() == last + 1);
        }
    }
}

TEST_CASE("an id that was seen in use stays used for the next source, though nothing was handed out") {
    const Folders folders;
    {
        auto* ids = new IdSource(folders.runtime.descriptor.get(), folders.state.descriptor.get());
        ids->skip_to(500);
        ::operator delete(ids);  // As a killed process leaves it.
    }
    std::filesystem::remove(folders.runtime.name + "/ids");
    IdSource ids(folders.runtime.descriptor.get(), folders.state.descriptor.get());
    CHECK(*ids.next() == 501);
}

}  // namespace
}  // namespace cancelable
