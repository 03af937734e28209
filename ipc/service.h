#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/loop.h"
#include "ipc/connection.h"
#include "ipc/operations.h"
#include "ipc/requests.h"

namespace cancelable::ipc {

// The methods of the protocol, carried out on the engine. share/doc/protocol.md is their reference.
//
// Lives on the loop's thread, longer than the server that it handles for. An answer that waits for something
// is forgotten together with its connection.
class Service final : public Handler {
public:
    struct Settings {
        std::string socket_path;
        std::string log_path;  // the supervisor's own log

        // Somebody wants the supervisor to leave, and has been told that it will: called once, when nothing
        // is left to be done. From then on no operation is accepted.
        std::function<void(StopParams::Mode)> stop;
    };

    Service(Loop& loop, Operations& operations, Settings settings);
    ~Service() override;

    void handle(Answer answer, Request request, std::vector<UniqueFd> descriptors) override;
    void closed(const Connection& connection) noexcept override;
    void drained(const Connection& connection) override;

    // How many answers and notifications are still owed.
    std::size_t pending() const noexcept;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace cancelable::ipc
