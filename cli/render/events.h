#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/render/operations.h"

namespace cancelable::cli {

// Events as lines for people, one by one as they come: time, id, name, what has happened, and what matters of
// it. The columns grow with what they have shown, so that lines below each other stay aligned.
//
// Takes what the supervisor sends, also kinds and fields of a later one: those are shown as they are.
class EventLines {
public:
    // With its newline.
    std::string line(const nlohmann::json& event, const View& view);

    // For events that will not come: the parameters of `events.missed`.
    static std::string missed_line(const nlohmann::json& missed, const View& view);

private:
    std::size_t id_width_ = 3;
    std::size_t name_width_ = 8;
};

}  // namespace cancelable::cli
