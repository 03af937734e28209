#pragma once

#include <map>
#include <string>

#include "engine/process/fd.h"
#include "tests/e2e/child.h"

namespace cancelable::e2e {

// Stands between one client and the supervisor, hands on every byte, and counts the requests by method: how a
// test sees how many requests a command made. Hands on no descriptors, so it does not serve for `run`.
class CountingProxy {
public:
    // Listens on `listen_path`, whose directory must be one that the client accepts.
    CountingProxy(const std::string& listen_path, std::string supervisor_socket);

    // Serves until that process has ended.
    void serve(const Child& client);

    const std::map<std::string, int>& requests() const { return requests_; }

private:
    void count(const std::string& line);

    std::string supervisor_socket_;
    UniqueFd listener_;
    std::map<std::string, int> requests_;
};

}  // namespace cancelable::e2e
