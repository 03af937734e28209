#include "engine/sources/expression.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "engine/sources/parse.h"

namespace cancelable {
namespace {

constexpr std::array<std::string_view, 17> kNames{
    "timeout", "at",  "idle",   "rss",    "cpu",        "processes", "host-memory", "host-load", "disk",
    "file",    "cmd", "signal", "parent", "disconnect", "manual",    "any",         "all"};

constexpr std::size_t kMostSources = 64;

}  // namespace

std::string_view to_string(SourceKind kind) noexcept {
    return kNames[static_cast<std::size_t>(kind)];
}

bool SourceExpression::mentions(SourceKind wanted) const noexcept {
    return kind == wanted || std::ranges::any_of(members, [&](const SourceExpression& member) {
               return member.mentions(wanted);
           });
}

std::vector<SourceExpression> flatten(std::vector<SourceExpression> sources) {
    std::vector<SourceExpression> flat;
    for (SourceExpression& source : sources) {
        if (source.kind != SourceKind::any) {
            flat.push_back(std::move(source));
            continue;
        }
        std::ranges::move(flatten(std::move(source.members)), std::back_inserter(flat));
    }
    return flat;
}

Result<std::vector<SourceExpression>> settle_sources(OperationSpec& spec, bool has_log) {
    if (spec.cancel_on.size() > kMostSources)
        return failure(ErrorCode::usage,
                       "an operation has at most 64 sources of cancelation: join some by any(…)");
    std::vector<SourceExpression> sources;
    for (std::string& text : spec.cancel_on) {
        auto source = parse_source(text);
        if (!source) return std::unexpected(source.error());
        if (source->mentions(SourceKind::idle) && !has_log)
            return failure(ErrorCode::usage,
                           source->text + " looks at the log, and this operation has none: log it (--log)");
        text = source->text;
        sources.push_back(std::move(*source));
    }
    sources = flatten(std::move(sources));
    bool disconnect_is_member = false;
    bool disconnect_alone = false;
    for (const SourceExpression& source : sources) {
        if (source.kind == SourceKind::timeout &&
            (spec.timeout.count() == 0 || source.duration < spec.timeout))
            spec.timeout = source.duration;
        if (source.kind == SourceKind::at && (spec.deadline == WallTime{} || source.at < spec.deadline))
            spec.deadline = source.at;
        disconnect_alone = disconnect_alone || source.kind == SourceKind::disconnect;
        disconnect_is_member = disconnect_is_member || source.mentions(SourceKind::disconnect);
    }
    spec.disconnect_is_member = disconnect_is_member && !disconnect_alone;
    return sources;
}

}  // namespace cancelable
