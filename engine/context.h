#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/shim/spec.h"
#include "engine/token.h"

namespace cancelable {

// The operation on whose behalf a thread works.
struct CurrentOperation {
    OperationId id = 0;
    std::string name;
    CancelationToken token;
};

// What a thread works for, as a value that may be carried to another thread: an operation, or none. Cheap to
// copy.
class Context {
public:
    Context() noexcept = default;
    explicit Context(CurrentOperation operation)
        : operation_(std::make_shared<const CurrentOperation>(std::move(operation))) {}

    // Null where there is none; valid as long as this context or a copy of it is.
    const std::shared_ptr<const CurrentOperation>& operation() const noexcept { return operation_; }

private:
    std::shared_ptr<const CurrentOperation> operation_;
};

// Makes a context this thread's own, until it is destroyed: then the one before it is back.
//
// Scopes may end in any order, and on any thread: the context of a thread is always that of its innermost
// scope that has not ended. No other thread's context is ever touched.
class [[nodiscard]] ContextScope {
public:
    explicit ContextScope(Context context);
    ~ContextScope();
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;

private:
    friend Context copy_context() noexcept;
    struct Frame;
    std::shared_ptr<Frame> frame_;
};

// This thread's context, to be restored somewhere else.
Context copy_context() noexcept;

// As ContextScope: const auto scope = restore_context(context);
[[nodiscard]] inline ContextScope restore_context(Context context) {
    return ContextScope(std::move(context));
}

// The operation that this thread works for; null where it works for none.
std::shared_ptr<const CurrentOperation> current_operation() noexcept;

// "operation 12: ", or nothing: what a log line of this thread starts with.
std::string current_operation_prefix();

// `function` with the caller's context around it, wherever it is called.
template <class Function>
auto with_context(Function&& function) {
    return
        [context = copy_context(), function = std::forward<Function>(function)]<class... Arguments>(
            Arguments&&... arguments) mutable -> std::invoke_result_t<std::decay_t<Function>&, Arguments...> {
            const ContextScope scope(context);
            return std::invoke(function, std::forward<Arguments>(arguments)...);
        };
}

}  // namespace cancelable
