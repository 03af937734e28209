#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "engine/process/fd.h"

namespace cancelable {

// A directory of a test's own, gone with it.
struct Folder {
    Folder() {
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        descriptor.reset(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        REQUIRE(descriptor);
    }
    ~Folder() { std::filesystem::remove_all(name); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string name = "/tmp/cancelable-unit-XXXXXX";
    UniqueFd descriptor;
};

}  // namespace cancelable
