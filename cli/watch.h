#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/globals.h"
#include "engine/process/error.h"
#include "ipc/requests.h"

namespace cancelable::cli {

// Asks for the list, shows it, and asks again as soon as something has changed, until it is interrupted. On a
// terminal each list takes the place of the one before, and times go on every second; elsewhere one follows
// the other.
int watch_list(const Globals& globals, ipc::ListParams params,
               const std::function<Result<std::string>(const nlohmann::json& answer)>& render);

}  // namespace cancelable::cli
