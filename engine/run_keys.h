#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "engine/shim/spec.h"

namespace cancelable {

// Which operation a client's key stands for: what makes it safe to ask for the same run again after a
// connection was lost. A key that was begun once starts nothing a second time.
class RunKeys {
public:
    // `is_known` says whether an operation is still remembered; the keys of forgotten ones go with them.
    explicit RunKeys(std::function<bool(OperationId)> is_known) : is_known_(std::move(is_known)) {}

    void remember(const std::string& key, OperationId id);  // an empty key is none
    void forget(const std::string& key) { ids_.erase(key); }
    std::optional<OperationId> find(const std::string& key) const;

private:
    std::function<bool(OperationId)> is_known_;
    std::unordered_map<std::string, OperationId> ids_;
    std::size_t clean_at_ = 1024;
};

}  // namespace cancelable
