#include "engine/selector.h"

#include <fnmatch.h>

#include <algorithm>

namespace cancelable {
namespace {

bool has_tag(const Tags& tags, const std::pair<std::string, std::string>& wanted) {
    const auto found = std::ranges::lower_bound(tags, wanted.first, {}, &Tags::value_type::first);
    return found != tags.end() && *found == wanted;
}

}  // namespace

bool glob_matches(const std::string& pattern, const std::string& text) noexcept {
    return ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

bool Selector::empty() const noexcept {
    return ids.empty() && globs.empty() && !all && !name && tags.empty() && statuses.empty() && !older_than &&
           !newer_than && !parent && !since && !until;
}

bool Selector::matches(const Operation& operation, WallTime now) const noexcept {
    const OperationSpec& spec = *operation.spec;
    if (!ids.empty() || !globs.empty()) {
        const bool picked =
            std::ranges::find(ids, spec.id) != ids.end() ||
            std::ranges::any_of(globs, [&](auto& glob) { return glob_matches(glob, spec.name); });
        if (!picked) return false;
    }
    if (parent && spec.parent != *parent) return false;
    if (!statuses.empty() && std::ranges::find(statuses, operation.status) == statuses.end()) return false;
    const auto age = now - spec.created_at;
    if (older_than && age < *older_than) return false;
    if (newer_than && age > *newer_than) return false;
    if ((since && spec.created_at < *since) || (until && spec.created_at > *until)) return false;
    if (!std::ranges::all_of(tags, [&](auto& tag) { return has_tag(spec.tags, tag); })) return false;
    return !name || glob_matches(*name, spec.name);
}

}  // namespace cancelable
