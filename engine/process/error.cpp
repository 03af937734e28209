#include "engine/process/error.h"

#include <cctype>
#include <cstring>

namespace cancelable {

std::string_view to_string(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::system:
            return "system";
        case ErrorCode::usage:
            return "usage";
        case ErrorCode::not_found:
            return "not_found";
        case ErrorCode::refused:
            return "refused";
        case ErrorCode::unreachable:
            return "unreachable";
        case ErrorCode::protocol:
            return "protocol";
        case ErrorCode::limit:
            return "limit";
        case ErrorCode::damaged:
            return "damaged";
        case ErrorCode::stopping:
            return "stopping";
    }
    return "system";
}

std::string errno_text(int os_errno) {
    // strerrordesc_np is thread-safe and untranslated, which strerror is not.
    const char* known = ::strerrordesc_np(os_errno);
    if (known == nullptr) return "error " + std::to_string(os_errno);
    std::string text = known;
    // "I/O error" and the like keep their capitals.
    if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0)
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
}

std::string Error::sentence() const {
    return os_errno == 0 ? doing : doing + ": " + errno_text(os_errno);
}

}  // namespace cancelable
