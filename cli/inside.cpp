#include "cli/inside.h"

#include <utility>

#include "cli/caller.h"
#include "cli/connect.h"

namespace cancelable::cli {

Result<Inside> connect_from_inside(const Globals& globals) {
    const auto socket = globals.socket_path();
    if (!socket) return std::unexpected(socket.error());
    const OperationId said = surrounding_operation(*socket);
    // Within an operation this waits for a supervisor that somebody outside may be about to start.
    auto client = connect_to_supervisor(globals, said == 0 ? WhenAbsent::fail : WhenAbsent::start_one);
    if (client) return Inside{std::move(*client), said};
    if (said == 0 && client.error().code == ErrorCode::unreachable)
        return failure(ErrorCode::refused, "this is not part of an operation");
    return std::unexpected(client.error());
}

}  // namespace cancelable::cli
