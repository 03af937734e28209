// service [PORT]: lets others cancel operations over HTTP.
//
//   POST /jobs/12/cancel                       operation 12; answers when every process of it is dead
//   POST /jobs/cancel-all?pattern=user_42_*    all that the pattern matches
//   GET  /stats                                what `cancelable stats --json` says
//
// Requests are served by several threads. A Client is for one thread, and connecting to a Unix socket costs
// next to nothing, so each request has a connection of its own; a supervisor that was restarted in between
// makes no difference then. It listens on the loopback only, and asks nobody for a password.

#include <cancelable/engine/directories.h>
#include <cancelable/ipc/client.h>
#include <cancelable/ipc/requests.h>
#include <httplib.h>

#include <cstdlib>
#include <iostream>
#include <string>

using namespace cancelable;

namespace {

int http_status(const Error& error) {
    switch (error.code) {
        case ErrorCode::usage:
            return 400;
        case ErrorCode::not_found:
            return 404;
        case ErrorCode::refused:
            return 409;
        case ErrorCode::unreachable:
            return 503;  // no supervisor, so nothing to cancel either
        default:
            return 500;
    }
}

Result<nlohmann::json> ask(const std::string& method, const nlohmann::json& params) {
    const char* told = std::getenv("CANCELABLE_SOCKET");
    const auto path = resolve_socket_path(told != nullptr ? told : "");
    if (!path) return std::unexpected(path.error());
    auto client = ipc::Client::connect(*path);
    if (!client) return std::unexpected(client.error());
    return client->call(method, params);
}

void answer(httplib::Response& response, const Result<nlohmann::json>& result) {
    response.status = result ? 200 : http_status(result.error());
    const nlohmann::json body = result ? *result : nlohmann::json{{"error", result.error().sentence()}};
    response.set_content(body.dump() + "\n", "application/json");
}

Result<nlohmann::json> cancel(Selector selector, const httplib::Request& request) {
    ipc::CancelParams params;
    params.selector = std::move(selector);
    params.request.message = "HTTP request from " + request.remote_addr;
    return ask("operation.cancel", ipc::encode(params));
}

}  // namespace

int main(int count, char** arguments) {
    httplib::Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(4); };

    server.Post(R"(/jobs/(\d{1,18})/cancel)",
                [](const httplib::Request& request, httplib::Response& response) {
                    Selector selector;
                    selector.ids = {std::stoull(request.matches[1])};
                    answer(response, cancel(selector, request));
                });
    server.Post("/jobs/cancel-all", [](const httplib::Request& request, httplib::Response& response) {
        Selector selector;
        selector.globs = {request.get_param_value("pattern")};
        answer(response, request.has_param("pattern")
                             ? cancel(selector, request)
                             : failure(ErrorCode::usage, "which ones? Say ?pattern=, with * for all"));
    });
    server.Get("/stats", [](const httplib::Request&, httplib::Response& response) {
        answer(response, ask("stats.get", nlohmann::json::object()));
    });

    const int wanted = count > 1 ? std::atoi(arguments[1]) : 0;
    const bool bound = wanted == 0 || server.bind_to_port("127.0.0.1", wanted);
    const int port = wanted == 0 ? server.bind_to_any_port("127.0.0.1") : wanted;
    if (!bound || port < 0) {
        std::cerr << "service: cannot listen on port " << wanted << std::endl;
        return 1;
    }
    std::cout << "listening on http://127.0.0.1:" << port << std::endl;
    return server.listen_after_bind() ? 0 : 1;
}
