#include "tests/bench/world.h"
#include "tests/bench/guard.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "engine/process/fd.h"

namespace cancelable::bench {
namespace {

namespace fs = std::filesystem;

// Requests that may be under way at once: enough that nobody waits for the other, few enough to fit sockets.
constexpr std::size_t kInFlight = 64;

template <class Value>
Value value_of(Result<Value> result) {
    if (!result) throw std::runtime_error(result.error().sentence());
    return std::move(*result);
}

// Where one does not run, it says why: for thousands, that descriptors or processes have run out.
pid_t pid_of(const nlohmann::json& operation) {
    if (const auto& pid = operation.at("pid"); pid.is_number()) return pid.get<pid_t>();
    throw std::runtime_error("an operation does not run: " + operation.dump());
}

// As an installation copies them. What a linker has written lies in the page cache in single pages, and so
// starts some 3 % slower than a user's.
fs::path install_programs() {
    for (const char* name : {"cancelable", "cancelable-shim"})
        fs::copy_file(fs::path(CANCELABLE_PROGRAMS) / name, fs::path(installation_directory()) / name);
    return installation_directory();
}

Words join(const std::string& first, Words rest) {
    rest.insert(rest.begin(), first);
    return rest;
}

}  // namespace

const std::string& World::program() {
    static const std::string program = install_programs() / "cancelable";
    return program;
}

World::World(const std::string& directory, const Words& watcher)
    : directory_(directory),
      runtime_(memory_directory() + "/" + std::filesystem::path(directory).filename().string() + ".run") {
    environment_ = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "SHELL=/bin/sh"};
    std::filesystem::create_directory(directory);
    for (const char* variable : {"HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "NQDIR"}) {
        const std::string path = directory + "/" + variable;
        ::mkdir(path.c_str(), 0700);
        environment_.push_back(std::string(variable) + "=" + path);
    }
    ::mkdir(runtime_.c_str(), 0700);
    environment_.push_back("XDG_RUNTIME_DIR=" + runtime_);
    if (watcher.empty())
        run({"run", "--", "true"});
    else
        start_under(watcher);
    connect();
}

void World::connect() {
    client_ = value_of(ipc::Client::connect(runtime_directory() + "/socket"));
    supervisor_ = call("supervisor.hello").at("pid").get<pid_t>();
}

World::~World() {
    try {
        stop();
    } catch (const std::exception&) {
        // Whoever guards this process ends what is left.
    }
}

void World::start_under(const Words& watcher) {
    Words words = watcher;
    words.insert(words.end(), {program(), "supervisor", "run"});
    watcher_ = spawn(words, setup());
    wait_until("a supervisor under " + watcher[0], [&] {
        if (!exists(watcher_) || ::waitpid(watcher_, nullptr, WNOHANG) != 0)
            throw std::runtime_error(watcher[0] + " has ended at once");
        return ipc::Client::connect(runtime_directory() + "/socket").has_value();
    });
}

void World::stop() {
    if (supervisor_ == 0) return;
    client_.reset();
    run({"-q", "supervisor", "stop", "--cancel"});
    const pid_t supervisor = std::exchange(supervisor_, 0);
    if (watcher_ != 0)
        ::waitpid(watcher_, nullptr, 0);
    else
        ::waitpid(supervisor, nullptr, 0);  // It has fallen to this process, where that is a subreaper.
    wait_until("the end of the supervisor", [&] { return !exists(supervisor); });
}

void World::restart() {
    stop();
    run({"run", "--", "true"});
    connect();
}

void World::wait_until_recorded() {
    wait_until("the record of what has ended",
               [&] { return call("supervisor.status").at("history").at("waiting") == 0; });
}

// Its files tell it without a question to the supervisor, which may be watched. What has begun and has no
// channel is over.
void World::wait_until_released() const {
    wait_until("the release of what has ended", [&] {
        return std::ranges::all_of(std::filesystem::directory_iterator(runtime_directory() + "/ops"),
                                   [](const auto& entry) {
                                       const auto kind = entry.path().extension();
                                       return kind == ".idle" || kind == ".begun";
                                   });
    });
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
    Sleeper sleeper{std::to_string(operation.at("id").get<std::uint64_t>()), pid_of(operation)};
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
            last = pid_of(value_of(std::move(response->result)));
            ++answered;
        }
    }
    return last;
}

void wait_until(const std::string& what, const std::function<bool()>& holds) {
    using namespace std::chrono_literals;
    const auto end = std::chrono::steady_clock::now() + 120s;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited in vain for " + what);
        ::poll(nullptr, 0, 1);
    }
}

}  // namespace cancelable::bench
