#include "tests/bench/world.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "engine/process/fd.h"

namespace cancelable::bench {
namespace {

// Requests that may be under way at once: enough that nobody waits for the other, few enough to fit sockets.
constexpr std::size_t kInFlight = 64;

template <class Value>
Value value_of(Result<Value> result) {
    if (!result) throw std::runtime_error(result.error().sentence());
    return std::move(*result);
}

Words join(const std::string& first, Words rest) {
    rest.insert(rest.begin(), first);
    return rest;
}

}  // namespace

const std::string& World::program() {
    static const std::string program = CANCELABLE_PROGRAMS "/cancelable";
    return program;
}

World::World(const std::string& directory) : directory_(directory) {
    environment_ = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "SHELL=/bin/sh"};
    std::filesystem::create_directory(directory);
    for (const char* variable :
         {"HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "NQDIR"}) {
        const std::string path = directory + "/" + variable;
        ::mkdir(path.c_str(), 0700);
        environment_.push_back(std::string(variable) + "=" + path);
    }
    run({"run", "--", "true"});
    client_ = value_of(ipc::Client::connect(directory + "/XDG_RUNTIME_DIR/cancelable/socket"));
    supervisor_ = call("supervisor.hello").at("pid").get<pid_t>();
}

World::~World() {
    try {
        run({"-q", "supervisor", "stop", "--cancel"});
        // It has fallen to this process, a subreaper, or to one above.
        if (::waitpid(supervisor_, nullptr, 0) < 0)
            while (exists(supervisor_))
                ::poll(nullptr, 0, 1);
    } catch (const std::exception&) {
        // Whoever guards this process ends what is left.
    }
}

void World::run(Words arguments) const {
    reap(spawn(join(program(), std::move(arguments)), setup()));
}

std::string World::output(Words arguments) const {
    return output_of(join(program(), std::move(arguments)), setup());
}

nlohmann::json World::call(const std::string& method, nlohmann::json parameters) {
    return value_of(client_->call(method, std::move(parameters)));
}

nlohmann::json World::description(const std::string& name, const Words& command) const {
    return {{"command", command}, {"environment", environment_},
            {"cwd", directory_},  {"name", name},
            {"detached", true},   {"log", false}};
}

World::Sleeper World::start_sleep() {
    const auto operation = call("operation.run", description("sleep", {"sleep", "100000"}));
    Sleeper sleeper{std::to_string(operation.at("id").get<std::uint64_t>()),
                    operation.at("pid").get<pid_t>()};
    settle(sleeper.pid, "sleep");
    return sleeper;
}

pid_t World::start_operations(std::size_t count, const std::string& name, const Words& command) {
    const nlohmann::json request = description(name, command);
    std::size_t sent = 0;
    pid_t last = 0;
    for (std::size_t answered = 0; answered < count;) {
        for (; sent < count && sent < answered + kInFlight; ++sent)
            value_of(client_->send("operation.run", request));
        auto message = value_of(client_->receive());
        if (!message) {
            pollfd entry{client_->fd(), POLLIN, 0};
            retry_eintr([&] { return ::poll(&entry, 1, -1); });
            continue;
        }
        if (auto* response = std::get_if<ipc::Response>(&*message)) {
            last = value_of(std::move(response->result)).at("pid").get<pid_t>();
            ++answered;
        }
    }
    return last;
}

}  // namespace cancelable::bench
