#include "cli/selector_options.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "cli/moment.h"
#include "cli/nearest.h"
#include "cli/render/text.h"

namespace cancelable::cli {
Result<Status> parse_status_word(const std::string& word) {
    if (const auto status = parse_status(word)) return *status;
    std::vector<std::string_view> known;
    for (const Status status : kAllStatuses)
        known.push_back(to_string(status));
    return failure(ErrorCode::usage, in_quotes(word) + " is no status" + did_you_mean(word, known));
}

Result<OperationId> parse_id(const std::string& word) {
    OperationId id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc{} || end != word.data() + word.size() || id == 0)
        return failure(ErrorCode::usage,
                       in_quotes(word) + " is no operation's id: ids are numbers from 1 on");
    return id;
}

void SelectorOptions::add_to(Options& options, AllMeans all_means) {
    options.words("SELECTORS", "ids, and globs on the name (any of them)", words_);
    options.group("Selectors (each narrows)");
    options.value("--name", "GLOB", "with such a name", [this](const std::string& text) -> Result<> {
        said_.name = text;
        return {};
    });
    options.value("--tag", "KEY=VALUE", "with this tag; can be repeated",
                  [this](const std::string& text) -> Result<> {
                      const auto equals = text.find('=');
                      if (equals == std::string::npos || equals == 0)
                          return failure(ErrorCode::usage, in_quotes(text) + " is not KEY=VALUE");
                      said_.tags.emplace_back(text.substr(0, equals), text.substr(equals + 1));
                      return {};
                  });
    options.value("--status", "STATUS", "in this status; repeated: in any of them",
                  [this](const std::string& text) -> Result<> {
                      const auto status = parse_status_word(text);
                      if (!status) return std::unexpected(status.error());
                      said_.statuses.push_back(*status);
                      return {};
                  });
    options.duration("--older-than", "accepted longer ago than this", said_.older_than);
    options.duration("--newer-than", "accepted since then", said_.newer_than);
    const auto moment = [&](const char* name, const char* help, std::optional<WallTime>& target) {
        options.value(name, "TIME", help, [&target](const std::string& text) -> Result<> {
            const auto time = parse_moment(text, wall_now());
            if (!time) return std::unexpected(time.error());
            target = *time;
            return {};
        });
    };
    moment("--since", "accepted at this time or later; a duration: so long ago", said_.since);
    moment("--until", "accepted at this time or before", said_.until);
    options.value("--parent", "ID", "children of this operation",
                  [this](const std::string& text) -> Result<> {
                      const auto id = parse_id(text);
                      if (!id) return std::unexpected(id.error());
                      said_.parent = *id;
                      return {};
                  });
    if (all_means == AllMeans::every_operation) options.flag("--all", "every operation", said_.all);
    options.group("Options");
}

Selector SelectorOptions::selector() const {
    Selector selector = said_;
    for (const std::string& word : words_) {
        if (const auto id = parse_id(word))
            selector.ids.push_back(*id);
        else
            selector.globs.push_back(word);
    }
    std::ranges::sort(selector.tags);
    return selector;
}

}  // namespace cancelable::cli
