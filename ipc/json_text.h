#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace cancelable::ipc {

// Parts of a JSON text as they stand in it, for who hands them on: to make values of a long list and text of
// these again takes ten times as long. The text is trusted to be JSON; of one that is not, nothing is found,
// or a part that is none.

// The value of a member of the outermost object.
std::optional<std::string_view> member_text(std::string_view object, std::string_view name);

// The elements of the outermost array.
std::optional<std::vector<std::string_view>> element_texts(std::string_view array);

}  // namespace cancelable::ipc
