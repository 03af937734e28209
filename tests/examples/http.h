#pragma once

#include <string>

namespace cancelable::e2e {

struct HttpAnswer {
    int status = 0;
    std::string body;
};

// One request to a server on this machine, to its end. `what` is a method and a path: "GET /stats".
HttpAnswer http(int port, const std::string& what);

}  // namespace cancelable::e2e
