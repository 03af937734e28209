// commands DIRECTORY NAME COMMAND…: runs shell commands under a supervisor of its own, and ends whatever they
// start.
//
//   commands /run/user/1000/mine build 'make -j8' serve 'python3 -m http.server'
//
// Type a pattern to cancel what it matches; the end of input cancels the rest. Cancelled means gone: when it
// says so, every process that the command ever started is dead. From elsewhere, the ordinary tools work:
//
//   CANCELABLE_SOCKET=/run/user/1000/mine/socket cancelable list

#include <cancelable/engine/bridge.h>
#include <cancelable/engine/directories.h>
#include <cancelable/engine/supervisor.h>
#include <cancelable/ipc/server.h>
#include <cancelable/ipc/service.h>
#include <cancelable/ipc/socket.h>
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>

using namespace cancelable;

namespace {

int fail(const Error& error) {
    std::cerr << "commands: " << error.sentence() << std::endl;
    return 1;
}

// With this program's environment, directory and output.
RunRequest request(const std::string& name, const std::string& command) {
    RunRequest request;
    request.spec.name = name;
    request.spec.command = {"sh", "-c", command};
    request.spec.grace = std::chrono::seconds(2);
    for (char** variable = environ; *variable != nullptr; ++variable)
        request.launch.environment.emplace_back(*variable);
    request.cwd = UniqueFd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    request.stdio[1] = UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    request.stdio[2] = UniqueFd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    return request;
}

void print(const Transition& step) {
    const Operation& now = *step.after;
    if (step.before && step.before->status == now.status) return;
    std::cout << now.spec->name << ": " << to_string(now.status);
    if (now.cancelation && now.cancelation->gone_at)
        std::cout << ", and gone: " << now.cancelation->processes << " processes";
    std::cout << std::endl;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 2) return fail({ErrorCode::usage, "say a directory, and then names and commands"});

    // The directory has to be this program's alone. What a killed one has left there is taken over by the
    // next one, as it is.
    const std::string directory = arguments[1];
    Supervisor::Settings settings;
    settings.runtime_directory = directory;
    settings.state_directory = directory + "/state";
    settings.socket_path = directory + "/socket";
    settings.shim_path = SHIM;
    settings.warn = [](const std::string& sentence) { std::cerr << "commands: " << sentence << std::endl; };
    if (auto made = ensure_private_directory_tree(directory); !made) return fail(made.error());

    Loop loop;
    auto supervisor = Supervisor::create(loop, settings);
    if (!supervisor) return fail(supervisor.error());
    Registry& registry = (*supervisor)->registry();

    bool no_more_input = false;
    const auto leave_when_all_is_gone = [&] {
        if (no_more_input && registry.live_count() == 0) loop.stop();
    };
    const auto subscription = registry.subscribe([&](const Transition& step) {
        print(step);
        leave_when_all_is_gone();
    });

    // Whoever connects to the socket is served as by `cancelable supervisor run`.
    ipc::SupervisorOperations operations(**supervisor);
    ipc::Service service(loop, operations, {.socket_path = settings.socket_path, .log_path = {}, .stop = {}});
    auto listener = ipc::listen_at(settings.socket_path);
    if (!listener) return fail(listener.error());
    ipc::Server server(loop, std::move(*listener), service, {});

    for (int i = 2; i + 1 < count; i += 2)
        if (auto started = (*supervisor)->run(request(arguments[i], arguments[i + 1])); !started)
            fail(started.error());

    // The cancel button. The supervisor belongs to the loop's thread, its registry to every thread: the
    // tokens that are set here are watched by the loop.
    LoopBridge bridge(loop, {});
    std::jthread button([&] {
        std::string pattern;
        while (std::getline(std::cin, pattern)) {
            Selector selector;
            selector.globs = {pattern};
            registry.cancel_all(selector, CancelationReason::manual, "by the button");
        }
        (void)bridge.call_soon_threadsafe([&] {
            no_more_input = true;
            registry.cancel_all({}, CancelationReason::shutdown, "the program ends");
            leave_when_all_is_gone();
        });
    });
    loop.run();
}
