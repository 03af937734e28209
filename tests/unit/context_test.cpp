#include "engine/context.h"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <thread>

namespace cancelable {
namespace {

Context context(OperationId id) {
    return Context({id, "job-" + std::to_string(id), {}});
}

OperationId current_id() {
    const auto operation = current_operation();
    return operation ? operation->id : 0;
}

TEST_CASE("a thread has the context of its innermost scope, and none outside") {
    CHECK_FALSE(current_operation());
    CHECK(current_operation_prefix().empty());
    {
        const ContextScope outer(context(1));
        CHECK(current_operation()->name == "job-1");
        CHECK(current_operation_prefix() == "operation 1: ");
        {
            const auto inner = restore_context(context(2));
            CHECK(current_id() == 2);
            const ContextScope nothing{Context()};
            CHECK_FALSE(current_operation());
        }
        CHECK(current_id() == 1);
    }
    CHECK_FALSE(current_operation());
}

TEST_CASE("a scope that has ended keeps nothing of its operation alive") {
    std::weak_ptr<const CurrentOperation> watched;
    {
        const ContextScope scope(context(1));
        watched = current_operation();
        CHECK_FALSE(watched.expired());
    }
    CHECK(watched.expired());
}

TEST_CASE("a copied context is restored on another thread, which had none of its own") {
    const ContextScope scope(context(7));
    const Context copy = copy_context();
    OperationId before = 99, within = 99, after = 99;
    std::thread([&] {
        before = current_id();
        {
            const auto restored = restore_context(copy);
            within = current_id();
        }
        after = current_id();
    }).join();
    CHECK(before == 0);
    CHECK(within == 7);
    CHECK(after == 0);
    CHECK(current_id() == 7);
}

TEST_CASE("scopes that end out of order leave the innermost living one") {
    std::optional<ContextScope> first(std::in_place, context(1));
    std::optional<ContextScope> second(std::in_place, context(2));
    std::optional<ContextScope> third(std::in_place, context(3));
    second.reset();
    CHECK(current_id() == 3);
    third.reset();
    CHECK(current_id() == 1);
    first.reset();
    CHECK(current_id() == 0);
}

TEST_CASE("a scope that ends on another thread touches no context there, and is gone here") {
    std::optional<ContextScope> scope(std::in_place, context(1));
    OperationId there = 0;
    std::thread([&] {
        const ContextScope own(context(2));
        scope.reset();
        there = current_id();
    }).join();
    CHECK(there == 2);
    CHECK(current_id() == 0);
}

TEST_CASE("a function bound to a context has it wherever it is called, and passes arguments and results") {
    std::optional<ContextScope> scope(std::in_place, context(5));
    auto bound = with_context([](int a, const std::string& b) {
        return std::to_string(current_id() * 10) + b + std::to_string(a);
    });
    scope.reset();
    std::string result;
    std::thread([&] { result = bound(1, "x"); }).join();
    CHECK(result == "50x1");
    CHECK(current_id() == 0);
}

}  // namespace
}  // namespace cancelable
