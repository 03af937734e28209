#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "cli/globals.h"
#include "engine/process/error.h"
#include "ipc/client.h"

namespace cancelable::cli {

// How long to go on trying while another supervisor comes up or goes.
inline constexpr std::chrono::seconds kConnectPatience{15};

enum class WhenAbsent : std::uint8_t { start_one, fail };

// A connection to the supervisor of the chosen socket. Where none answers, one is started on demand, but
// never from within an operation of that very socket: it would live in that operation's tree and end with it.
//
// Every error is ErrorCode::unreachable and a sentence that says what to do.
Result<ipc::Client> connect_to_supervisor(const Globals& globals,
                                          WhenAbsent when_absent = WhenAbsent::start_one);

// A connection where a supervisor listens, nothing where none does just now. One look: nothing is started or
// waited for.
Result<std::optional<ipc::Client>> find_supervisor(const Globals& globals);

}  // namespace cancelable::cli
