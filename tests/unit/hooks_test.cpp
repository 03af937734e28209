#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "engine/hook_call.h"
#include "engine/hook_file.h"
#include "tests/unit/folder.h"

namespace cancelable {
namespace {

using namespace std::chrono_literals;

using Facts = std::vector<std::string>;

Operation some_operation() {
    auto spec = std::make_shared<OperationSpec>();
    spec->id = 12;
    spec->name = "train";
    spec->command = {"true"};
    spec->cwd = "/data";
    spec->parent = 3;
    spec->log = "/state/12.log";
    spec->tags = {{"gpu-node", "0"}, {"user", "a b"}};
    spec->hooks = {"", "cancelled", "ended", 5s};
    Operation operation;
    operation.spec = spec;
    operation.status = Status::completed;
    operation.exit = Exit{false, 0};
    return operation;
}

OperationSpec& edit(Operation& operation) {
    auto copy = std::make_shared<OperationSpec>(*operation.spec);
    operation.spec = copy;
    return *copy;
}

bool has(const Facts& facts, const std::string& fact) {
    return std::ranges::find(facts, fact) != facts.end();
}

void write_to(const Folder& folder, const std::string& file, const std::string& text) {
    std::ofstream(folder.name + "/" + file) << text;
}

bool is_empty(const Folder& folder) {
    return std::filesystem::is_empty(folder.name);
}

HookCall some_call(OperationId id) {
    return {id, HookEvent::end, "tell", 5s, {"CANCELABLE_HOOK_ID=" + std::to_string(id)}};
}

}  // namespace

TEST_CASE("a hook knows every fact of its operation, and what is not known is empty") {
    CHECK(hook_facts(HookEvent::end, some_operation()) ==
          Facts{"CANCELABLE_HOOK_EVENT=end", "CANCELABLE_HOOK_ID=12", "CANCELABLE_HOOK_NAME=train",
                "CANCELABLE_HOOK_STATUS=completed", "CANCELABLE_HOOK_EXIT_CODE=0", "CANCELABLE_HOOK_SIGNAL=",
                "CANCELABLE_HOOK_REASON=", "CANCELABLE_HOOK_MESSAGE=", "CANCELABLE_HOOK_PARENT=3",
                "CANCELABLE_HOOK_LOG=/state/12.log", "CANCELABLE_HOOK_CWD=/data",
                "CANCELABLE_HOOK_TAG_GPU_NODE=0", "CANCELABLE_HOOK_TAG_USER=a b"});

    Operation cancelled = some_operation();
    cancelled.status = Status::timeout;
    cancelled.exit = Exit{true, SIGKILL};
    Cancelation cancelation;
    cancelation.reason = CancelationReason::timeout;
    cancelation.message = "after 5s";
    cancelled.cancelation = std::make_shared<const Cancelation>(cancelation);
    const Facts facts = hook_facts(HookEvent::cancel, cancelled);
    CHECK(has(facts, "CANCELABLE_HOOK_EVENT=cancel"));
    CHECK(has(facts, "CANCELABLE_HOOK_STATUS=timeout"));
    CHECK(has(facts, "CANCELABLE_HOOK_EXIT_CODE="));
    CHECK(has(facts, "CANCELABLE_HOOK_SIGNAL=SIGKILL"));
    CHECK(has(facts, "CANCELABLE_HOOK_REASON=timeout"));
    CHECK(has(facts, "CANCELABLE_HOOK_MESSAGE=after 5s"));

    Operation failed = some_operation();
    failed.error = "cannot execute";
    CHECK(has(hook_facts(HookEvent::end, failed), "CANCELABLE_HOOK_MESSAGE=cannot execute"));
}

TEST_CASE("the facts of a hook have bounds, whatever its operation has") {
    Operation operation = some_operation();
    OperationSpec& spec = edit(operation);
    spec.name = std::string("a\0b", 3);
    spec.cwd = std::string(100'000, 'x');
    spec.tags = {{"a-b", "first"}, {"a.b", "second"}};
    for (int i = 100; i < 200; ++i)
        spec.tags.emplace_back("k" + std::to_string(i), std::string(10'000, 'v'));
    const Facts facts = hook_facts(HookEvent::end, operation);
    CHECK(has(facts, "CANCELABLE_HOOK_NAME=a"));
    CHECK(has(facts, "CANCELABLE_HOOK_CWD=" + std::string(16 * 1024, 'x')));
    CHECK(has(facts, "CANCELABLE_HOOK_TAG_A_B=first"));
    CHECK_FALSE(has(facts, "CANCELABLE_HOOK_TAG_A_B=second"));
    CHECK(has(facts, "CANCELABLE_HOOK_TAG_K100=" + std::string(10'000, 'v')));
    std::size_t size = 0;
    for (const std::string& fact : facts)
        size += fact.size();
    CHECK(size <= 256 * 1024);
    CHECK(facts.size() < 60);
}

TEST_CASE("only what an operation wants to be run is run, and without what is meant for cancelable") {
    const Operation operation = some_operation();
    CHECK_FALSE(hook_call(HookEvent::start, operation));
    CHECK(hook_call(HookEvent::cancel, operation)->command == "cancelled");
    const auto call = hook_call(HookEvent::end, operation);
    REQUIRE(call);
    const Facts environment{"PATH=/bin", "CANCELABLE_HOOK_ID=99", "CANCELABLE_CONFIG=x"};
    const SideRequest request = hook_request(*call, environment);
    CHECK(request.command.back().ends_with("\nended"));
    CHECK(request.time_limit == 5s);
    CHECK(request.cwd == "/");
    CHECK(has(request.environment, "PATH=/bin"));
    CHECK(has(request.environment, "CANCELABLE_HOOK_ID=12"));
    CHECK_FALSE(has(request.environment, "CANCELABLE_HOOK_ID=99"));
    CHECK_FALSE(has(request.environment, "CANCELABLE_CONFIG=x"));
}

TEST_CASE("a hook that is owed is found until it is forgotten") {
    const Folder folder;
    REQUIRE(write_owed_hook(folder.descriptor.get(), some_call(30)));
    REQUIRE(write_owed_hook(folder.descriptor.get(), some_call(4)));
    const auto found = find_owed_hooks(folder.descriptor.get(), {});
    REQUIRE(found.size() == 2);
    CHECK(found[0].id == 4);
    CHECK(found[1].id == 30);
    CHECK(found[1].event == HookEvent::end);
    CHECK(found[1].command == "tell");
    CHECK(found[1].time_limit == 5s);
    CHECK(found[1].facts == Facts{"CANCELABLE_HOOK_ID=30"});
    forget_owed_hook(folder.descriptor.get(), 4);
    forget_owed_hook(folder.descriptor.get(), 30);
    CHECK(is_empty(folder));
}

TEST_CASE("a damaged note of a hook is taken away with a word, and other files are let be") {
    const Folder folder;
    write_to(folder, "5.end-hook", "nonsense");
    write_to(folder, "6.end-hook.new", "half");
    write_to(folder, "7.exit", "record");
    REQUIRE(write_owed_hook(folder.descriptor.get(), some_call(8)));
    std::filesystem::rename(folder.name + "/8.end-hook", folder.name + "/9.end-hook");
    std::vector<std::string> told;
    CHECK(find_owed_hooks(folder.descriptor.get(), [&](const std::string& sentence) {
              told.push_back(sentence);
          }).empty());
    CHECK(told.size() == 2);
    CHECK(std::filesystem::remove(folder.name + "/7.exit"));
    CHECK(is_empty(folder));

    const auto whole = encode(some_call(8));
    for (std::size_t length = 0; length < whole.size(); ++length)
        static_cast<void>(decode_hook_call(std::span(whole).first(length)));
    CHECK_FALSE(decode_hook_call(std::span(whole).first(20)));
    CHECK(decode_hook_call(whole));
}

}  // namespace cancelable
