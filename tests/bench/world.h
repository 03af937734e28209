#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ipc/client.h"
#include "tests/bench/processes.h"

namespace cancelable::bench {

// A supervisor with directories of its own, and whoever measures something in it. The environment is the same
// on every machine but for the directories, and peers get it too.
class World {
public:
    // Starts the supervisor as a first `run` does, or under a program that watches it, such as strace with
    // its options. `directory` is made.
    explicit World(const std::string& directory, const Words& watcher = {});

    // As stop().
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Cancels everything, stops the supervisor and waits for it, and for who watches it.
    void stop();

    // Stops it, and has another one started in its place.
    void restart();

    // A copy of what was built.
    static const std::string& program();

    // `cancelable ARGUMENTS…` to its end, which must be a success.
    void run(Words arguments) const;
    std::string output(Words arguments) const;

    Setup setup() const { return {.environment = &environment_}; }
    const std::string& directory() const { return directory_; }
    std::string runtime_directory() const { return runtime_ + "/cancelable"; }
    pid_t supervisor() const { return supervisor_; }

    // Until the end of what ended is committed to the history, and until its shim is released as well.
    void wait_until_recorded();
    void wait_until_released() const;

    // A running `sleep` that is detached and not logged.
    struct Sleeper {
        std::string id;
        pid_t pid = 0;
    };
    Sleeper start_sleep();

    // So many of them, named NAME; returns once all run, and the last one's pid.
    pid_t start_operations(std::size_t count, const std::string& name, const Words& command);

    nlohmann::json call(const std::string& method, nlohmann::json parameters = nlohmann::json::object());

private:
    void start_under(const Words& watcher);
    void connect();
    nlohmann::json description(const std::string& name, const Words& command) const;

    std::string directory_;
    std::string runtime_;  // in memory
    Words environment_;
    std::optional<ipc::Client> client_;
    pid_t supervisor_ = 0;
    pid_t watcher_ = 0;
};

// Until it holds, looked at every millisecond; throws after two minutes.
void wait_until(const std::string& what, const std::function<bool()>& holds);

}  // namespace cancelable::bench
