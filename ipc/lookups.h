#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "engine/bridge.h"
#include "engine/loop.h"
#include "engine/process/error.h"
#include "engine/token.h"
#include "ipc/connection.h"

namespace cancelable::ipc {

// What a service has to look up on worker threads before it can answer. Dropped together with the connection
// that it is for: the work's token is set then, and nothing is called any more.
class Lookups {
public:
    explicit Lookups(Loop& loop) : bridge_(loop, {.max_workers = 2, .log = {}}) {}

    // work(token) on a worker, then done(its result) on the loop. `connection` is to compare only; null where
    // it is nobody's.
    template <class T>
    void start(const Connection* connection, std::function<Result<T>(const CancelationToken&)> work,
               std::function<void(Result<T>)> done) {
        const std::uint64_t number = ++last_;
        CancelationToken token;
        under_way_.emplace(number, std::pair(connection, token));
        bridge_.run_in_thread(
            std::move(work), token, [this, number, done = std::move(done)](Outcome<Result<T>> outcome) {
                if (under_way_.erase(number) == 0) return;
                if (outcome)
                    done(std::move(*outcome));
                else
                    done(failure(ErrorCode::system, "cannot look it up: " + outcome.error().message));
            });
    }

    void drop(const Connection& connection) noexcept;
    std::size_t size() const noexcept { return under_way_.size(); }

private:
    std::map<std::uint64_t, std::pair<const Connection*, CancelationToken>> under_way_;
    std::uint64_t last_ = 0;
    LoopBridge bridge_;  // last: it ends the workers before the rest goes
};

}  // namespace cancelable::ipc
