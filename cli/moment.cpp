#include "cli/moment.h"

#include <array>
#include <ctime>

#include "cli/render/text.h"
#include "engine/quantity.h"

namespace cancelable::cli {

Result<WallTime> parse_moment(const std::string& text, WallTime now) {
    if (const auto ago = parse_duration(text)) return now - *ago;
    const bool utc = text.ends_with('Z');
    const std::string bare = utc ? text.substr(0, text.size() - 1) : text;
    constexpr std::array kForms{"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
                                "%Y-%m-%d"};
    for (const char* form : kForms) {
        std::tm parts{};
        parts.tm_isdst = -1;
        const char* rest = ::strptime(bare.c_str(), form, &parts);
        if (rest == nullptr) continue;
        // Fractions of a second, as timestamps have them, are passed over.
        if (*rest == '.' && std::string_view(form).ends_with("%S"))
            for (++rest; *rest >= '0' && *rest <= '9'; ++rest) {
            }
        if (*rest != '\0') continue;
        const std::time_t seconds = utc ? ::timegm(&parts) : std::mktime(&parts);
        return WallTime(std::chrono::seconds(seconds));
    }
    return failure(ErrorCode::usage,
                   in_quotes(text) + " is no time: write it as 2026-03-01, 2026-03-01T09:05 or 2h");
}

}  // namespace cancelable::cli
