#include "cli/output.h"

#include <nlohmann/json.hpp>

#include "cli/config/config.h"
#include "cli/report.h"
#include "ipc/results.h"

namespace cancelable::cli {

int print_json(const nlohmann::json& json) {
    return print(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

View view_of(const Globals& globals) {
    if (globals.color) return current_view(*globals.color);
    // A broken configuration is told by the verbs that need it; a list is still a list without it.
    const auto config = Config::load(globals.config);
    Settings settings = config ? config->settings() : Settings();
    if (!apply_environment(settings)) settings.color = ColorChoice::automatic;
    return current_view(settings.color);
}

Result<std::vector<Operation>> decode_operations(const nlohmann::json& answer) {
    std::vector<Operation> operations;
    const auto found = answer.find("operations");
    if (found == answer.end()) return operations;
    for (const nlohmann::json& entry : *found) {
        auto operation = ipc::decode_operation(entry);
        if (!operation) return std::unexpected(operation.error());
        operations.push_back(std::move(*operation));
    }
    return operations;
}

}  // namespace cancelable::cli
