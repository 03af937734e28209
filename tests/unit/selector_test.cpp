#include "engine/selector.h"

#include <doctest/doctest.h>

#include <memory>

namespace cancelable {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{std::chrono::microseconds(1'700'000'000'000'000)};

Operation operation(OperationId id, std::string name, Tags tags = {}, std::chrono::milliseconds age = 0ms) {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = id;
    spec->name = std::move(name);
    spec->tags = std::move(tags);
    spec->created_at = kNow - age;
    Operation made;
    made.spec = std::move(spec);
    return made;
}

TEST_CASE("a glob matches the whole name, and its star also slashes and leading dots") {
    CHECK(glob_matches("user_42_*", "user_42_train"));
    CHECK_FALSE(glob_matches("user_42_*", "user_421"));
    CHECK_FALSE(glob_matches("train", "train2"));
    CHECK(glob_matches("*", ".hidden/dir/x"));
    CHECK(glob_matches("a*z", "a/b/z"));
    CHECK(glob_matches("job-[0-9]?", "job-7x"));
    CHECK(glob_matches("[!a]b", "cb"));
    CHECK(glob_matches("\\*", "*"));
    CHECK_FALSE(glob_matches("\\*", "x"));
    CHECK(glob_matches("", ""));
}

TEST_CASE("what is said narrows, ids and globs are any of") {
    const Operation build = operation(7, "build", {{"team", "red"}, {"user", "ann"}}, 10s);
    CHECK(Selector{}.matches(build, kNow));
    CHECK(Selector{.ids = {1, 7}}.matches(build, kNow));
    CHECK(Selector{.ids = {1}, .globs = {"b*"}}.matches(build, kNow));
    CHECK_FALSE(Selector{.ids = {1}, .globs = {"c*"}}.matches(build, kNow));
    CHECK_FALSE(Selector{.ids = {7}, .name = "test"}.matches(build, kNow));
    CHECK(Selector{.all = true, .name = "b*d"}.matches(build, kNow));
    CHECK(Selector{.tags = {{"team", "red"}, {"user", "ann"}}}.matches(build, kNow));
    CHECK_FALSE(Selector{.tags = {{"team", "blue"}}}.matches(build, kNow));
    CHECK_FALSE(Selector{.tags = {{"zone", ""}}}.matches(build, kNow));
    CHECK(Selector{.statuses = {Status::running, Status::pending}}.matches(build, kNow));
    CHECK_FALSE(Selector{.statuses = {Status::running}}.matches(build, kNow));
    CHECK(Selector{.older_than = 10s, .newer_than = 10s}.matches(build, kNow));
    CHECK_FALSE(Selector{.older_than = 11s}.matches(build, kNow));
    CHECK_FALSE(Selector{.newer_than = 9s}.matches(build, kNow));
    CHECK(Selector{.parent = 0}.matches(build, kNow));
    CHECK_FALSE(Selector{.parent = 3}.matches(build, kNow));
}

TEST_CASE("only a selector that says nothing is empty") {
    CHECK(Selector{}.empty());
    CHECK_FALSE(Selector{.all = true}.empty());
    CHECK_FALSE(Selector{.globs = {"*"}}.empty());
    CHECK_FALSE(Selector{.parent = 0}.empty());
    CHECK_FALSE(Selector{.newer_than = 1s}.empty());
}

}  // namespace
}  // namespace cancelable
