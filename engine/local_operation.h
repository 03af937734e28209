#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/context.h"
#include "engine/registry.h"
#include "engine/workers.h"

namespace cancelable {

// What is said of a program's own work before it begins.
struct LocalWork {
    std::string name{};
    Tags tags{};             // sorted by key, each key once
    OperationId parent = 0;  // 0: the operation that the calling thread works for, if any
};

// Work of this program itself as an operation of a registry: listed, counted and cancelled like a command.
//
// It is `pending` from the start, `running` while the function given to run() runs, and ended once that has
// returned or thrown, or where it never will: a token that is set makes it `cancelling`, and not more, as
// long as the function is at it. Its id comes from Registry::reserve_id(), so its registry must not be that
// of a supervisor, whose ids come from elsewhere. The registry must outlive it.
class LocalOperation {
public:
    LocalOperation(Registry& registry, LocalWork work);
    ~LocalOperation();  // one that was never run ends as cancelled
    LocalOperation(const LocalOperation&) = delete;
    LocalOperation& operator=(const LocalOperation&) = delete;

    OperationId id() const noexcept { return operation_.id; }
    CancelationToken token() const { return operation_.token; }
    Context context() const { return Context(operation_); }

    // Calls function(), once, with this as the current operation; what it returns or throws is passed on. It
    // ends as cancelled where the token is set by then or where CancelationError is thrown, as failed by any
    // other exception, else as completed. Where the token is set before, throws CancelationError instead.
    template <class Function>
    decltype(auto) run(Function&& function) {
        const ContextScope scope(context());
        const Ending ending(*this);
        operation_.token.check();
        start();
        try {
            return std::invoke(std::forward<Function>(function));
        } catch (const CancelationError& error) {
            operation_.token.cancel(error.reason(), error.message());
            throw;
        } catch (const std::exception& error) {
            failure_ = error.what();
            throw;
        } catch (...) {
            failure_ = "an exception of unknown type";
            throw;
        }
    }

private:
    struct Ending {
        explicit Ending(LocalOperation& ended) : operation(ended) {}
        ~Ending() { operation.end(); }
        LocalOperation& operation;
    };
    void start();
    void end() noexcept;

    Registry& registry_;
    CurrentOperation operation_;
    std::optional<std::string> failure_;  // what the function threw
    bool ended_ = false;
    CancelationToken::Registration cancelling_;
};

// function(token) or function() on a worker, as an operation. Cancelling the operation releases the task's
// waiter at once; work that is still queued then never starts. A pool that stops cancels it as well.
template <class Function>
auto run_as_operation(Registry& registry, WorkerPool& pool, LocalWork work, Function function) {
    auto operation = std::make_unique<LocalOperation>(registry, std::move(work));
    const CancelationToken cancelled = operation->token();
    return pool.run_in_thread(
        [operation = std::move(operation),
         function = std::move(function)](const CancelationToken& token) mutable {
            // Whether the work ended well is to be known before whoever waits for the task goes on.
            const auto ended = std::move(operation);
            return ended->run([&]() -> decltype(auto) {
                if constexpr (std::is_invocable_v<Function&, const CancelationToken&>)
                    return function(token);
                else
                    return function();
            });
        },
        cancelled);
}

}  // namespace cancelable
