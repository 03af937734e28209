#include "engine/process/search_path.h"

#include <string_view>

namespace cancelable {

std::vector<std::string> search_path(const std::string& command,
                                     const std::vector<std::string>& environment) {
    if (command.find('/') != std::string::npos) return {command};
    if (command.empty()) return {};
    constexpr std::string_view kPrefix = "PATH=";
    std::string_view path = "/bin:/usr/bin";
    for (const std::string& variable : environment) {
        if (!variable.starts_with(kPrefix)) continue;
        path = std::string_view(variable).substr(kPrefix.size());
        break;
    }
    std::vector<std::string> candidates;
    for (;;) {
        const std::size_t colon = path.find(':');
        const std::string_view folder = path.substr(0, colon);
        // An empty entry is the current directory, as it always was.
        candidates.push_back(folder.empty() ? "./" + command : std::string(folder) + "/" + command);
        if (colon == std::string_view::npos) return candidates;
        path.remove_prefix(colon + 1);
    }
}

}  // namespace cancelable
