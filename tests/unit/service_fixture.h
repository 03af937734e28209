// A service behind a socket, with operations that only a test changes, and a peer that asks it.
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fake_operations.h"
#include "ipc/server.h"
#include "ipc/service.h"
#include "ipc_support.h"

namespace cancelable::ipc::testing {

using nlohmann::json;

struct ServiceFixture {
    ServiceFixture()
        : path(directory.file("socket")),
          service(loop, operations,
                  {path, "/state/supervisor.log", [this](StopParams::Mode mode) { stops.push_back(mode); }}),
          server(loop, listen_at(path).value(), service, {}),
          peer(path) {}

    // One request and its answer, both through the socket.
    json call(const std::string& method, const json& params = json::object()) {
        return call(peer, method, params);
    }
    json call(RawPeer& by, const std::string& method, const json& params) {
        by.request(++last_id, method, params);
        const json answer = by.await(loop);
        CHECK(answer["id"] == last_id);
        return answer;
    }

    OperationId run(const std::string& name, json params = json::object()) {
        params["command"] = {"sleep"};
        params["name"] = name;
        params["cwd"] = "/";
        return call("operation.run", params)["result"]["id"].get<OperationId>();
    }

    // Asks for what is answered later, and turns the loop until the service owes so many answers.
    void ask(const std::string& method, const json& params, std::size_t pending) {
        peer.request(++last_id, method, params);
        CHECK(run_until(loop, [&] { return service.pending() == pending; }));
    }

    TemporaryDirectory directory;
    std::string path;
    Loop loop;
    FakeOperations operations;
    std::vector<StopParams::Mode> stops;
    Service service;
    Server server;
    RawPeer peer;
    int last_id = 0;
};

}  // namespace cancelable::ipc::testing
