#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/globals.h"
#include "engine/process/error.h"
#include "ipc/requests.h"

namespace cancelable::cli {

// Cancels what the selector picks, once, and where `params.wait` is set waits until all of it is settled,
// whatever becomes of the supervisor meanwhile. The answer is that of operation.cancel.
//
// What it asks a next supervisor for is only what it has asked the first one for: an operation that was
// started since is never picked.
Result<nlohmann::json> cancel_until_gone(const Globals& globals, ipc::CancelParams params);

}  // namespace cancelable::cli
