#include "tests/e2e/sandbox.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/e2e/waiting.h"

namespace doctest {

String StringMaker<std::vector<pid_t>>::convert(const std::vector<pid_t>& processes) {
    std::string text;
    for (const pid_t pid : processes) {
        text += (text.empty() ? "" : ", ") + std::to_string(pid);
        for (const std::string& word : cancelable::e2e::command_line(pid))
            text += " " + word;
    }
    return text.empty() ? "none" : text.c_str();
}

}  // namespace doctest

namespace cancelable::e2e {
namespace {

namespace fs = std::filesystem;

void give_to_test_user(const std::string& path) {
    if (::lchown(path.c_str(), test_user(), test_group()) != 0 && ::geteuid() == 0)
        throw std::runtime_error("cannot chown " + path);
}

std::string temporary_directory() {
    // Short, since the name of a socket may not be longer than 107 bytes.
    char name[] = "/tmp/cancelable-e2e.XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a temporary directory");
    ::chmod(name, 0755);
    return name;
}

bool test_user_may_execute(const std::string& program) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        become_test_user();
        ::_exit(::access(program.c_str(), X_OK) == 0 ? 0 : 1);
    }
    int status = 1;
    ::waitpid(pid, &status, 0);
    return status == 0;
}

// A build tree below a directory that only root may enter is copied to where the unprivileged user can reach
// it.
// CANCELABLE_TEST_PROGRAMS names the directory of another build, such as one with sanitizers.
class Programs {
public:
    Programs() {
        if (const char* other = std::getenv("CANCELABLE_TEST_PROGRAMS"); other != nullptr) programs_ = other;
        if (test_user_may_execute(programs_ + "/cancelable")) return;
        const std::string original = programs_;
        copy_ = temporary_directory();
        programs_ = copy_ + "/bin";
        fixtures_ = copy_ + "/fixtures";
        killable_ = copy_ + "/killable";
        fs::create_directory(programs_);
        fs::create_directory(fixtures_);
        fs::create_directory(killable_);
        fs::copy_file(CANCELABLE_KILLABLE "/cancelable", killable_ + "/cancelable");
        other_versions_ = copy_ + "/other_versions";
        fs::copy(CANCELABLE_OTHER_VERSIONS, other_versions_, fs::copy_options::recursive);
        for (const char* name : {"cancelable", "cancelable-shim"})
            fs::copy_file(fs::path(original) / name, fs::path(programs_) / name);
        for (const auto& entry : fs::directory_iterator(CANCELABLE_FIXTURES))
            if (entry.is_regular_file() && ::access(entry.path().c_str(), X_OK) == 0)
                fs::copy_file(entry.path(), fs::path(fixtures_) / entry.path().filename());
    }
    ~Programs() {
        std::error_code ignored;
        if (!copy_.empty()) fs::remove_all(copy_, ignored);
    }
    Programs(const Programs&) = delete;
    Programs& operator=(const Programs&) = delete;

    static const Programs& here() {
        static const Programs programs;
        return programs;
    }
    const std::string& programs() const { return programs_; }
    const std::string& fixtures() const { return fixtures_; }
    const std::string& killable() const { return killable_; }
    const std::string& other_versions() const { return other_versions_; }

private:
    std::string copy_;
    std::string programs_ = CANCELABLE_PROGRAMS;
    std::string fixtures_ = CANCELABLE_FIXTURES;
    std::string killable_ = CANCELABLE_KILLABLE;
    std::string other_versions_ = CANCELABLE_OTHER_VERSIONS;
};

bool is_supervisor(pid_t pid) {
    const Words words = command_line(pid);
    return program_of(pid) == "cancelable" &&
           std::find(words.begin(), words.end(), "supervisor") != words.end();
}

std::string describe(const std::vector<pid_t>& processes) {
    std::string text;
    for (const pid_t pid : processes) {
        text += "\n  " + std::to_string(pid) + " child of " + std::to_string(parent_of(pid)) + ":";
        for (const std::string& word : command_line(pid))
            text += " " + word;
    }
    return text;
}

// By what it shows in a process list.
bool is_idle_shim(pid_t shim) {
    const auto words = command_line(shim);
    return words.size() > 1 && words[1] == "idle";
}

}  // namespace

Fifo::Fifo(std::string path) : path_(std::move(path)) {
    if (::mkfifo(path_.c_str(), 0600) != 0) throw std::runtime_error("cannot make " + path_);
    // For reading and writing: so there is no end of file between two writers, and go() needs no reader yet.
    fd_.reset(::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    give_to_test_user(path_);
}

std::optional<std::string> Fifo::next_line(int ended_fd) {
    const Deadline deadline;
    while (true) {
        if (const auto end = pending_.find('\n'); end != std::string::npos) {
            std::string line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            return line;
        }
        char buffer[256];
        const ssize_t got = ::read(fd_.get(), buffer, sizeof buffer);
        if (got > 0) {
            pending_.append(buffer, static_cast<std::size_t>(got));
            continue;
        }
        pollfd entries[2] = {{fd_.get(), POLLIN, 0}, {ended_fd, POLLIN, 0}};
        if (::poll(entries, 2, deadline.remaining_ms()) == 0) throw Impatient("nothing announced itself");
        if (entries[0].revents == 0 && entries[1].revents != 0) return std::nullopt;
    }
}

std::string Fifo::wait_for_line() {
    return *next_line(-1);
}

std::optional<std::string> Fifo::wait_for_line_unless_ended(const Child& process) {
    return next_line(process.pidfd());
}

void Fifo::go() {
    if (::write(fd_.get(), "go\n", 3) != 3) throw std::runtime_error("cannot write to " + path_);
}

Sandbox::Sandbox() : directory_(temporary_directory()) {
    give_to_test_user(directory_);
    for (const char* name : {"run", "state", "config", "home", "tmp"})
        make_directory(name);
    environment_ = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TERM=xterm"};
    set_environment("HOME", path("home"));
    set_environment("TMPDIR", path("tmp"));
    set_environment("XDG_RUNTIME_DIR", path("run"));
    set_environment("XDG_STATE_HOME", path("state"));
    set_environment("XDG_CONFIG_HOME", path("config"));
    // Where the programs are built with sanitizers, what these find must not vanish in a supervisor's
    // /dev/null.
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"}) {
        const char* given = std::getenv(name);
        set_environment(name,
                        (given == nullptr ? "" : std::string(given) + ":") + "log_path=" + path("sanitizer"));
    }
}

Sandbox::~Sandbox() {
    try {
        stop_supervisor();
        check_nothing_is_left();
        check_sanitizers();
        fs::remove_all(directory_);
    } catch (const std::exception& error) {
        ADD_FAIL_CHECK_AT(__FILE__, __LINE__, "cannot clean up: " << error.what());
    }
}

std::string Sandbox::make_directory(const std::string& name, unsigned mode) {
    const std::string whole = path(name);
    fs::create_directories(whole);
    ::chmod(whole.c_str(), mode);
    give_to_test_user(whole);
    return whole;
}

std::string Sandbox::write_file(const std::string& name, const std::string& text, unsigned mode) {
    const std::string whole = path(name);
    for (fs::path parent = fs::path(name).parent_path(); !parent.empty(); parent = parent.parent_path())
        if (!fs::exists(path(parent))) make_directory(parent);
    std::ofstream(whole) << text;
    ::chmod(whole.c_str(), mode);
    give_to_test_user(whole);
    return whole;
}

Fifo Sandbox::fifo() {
    static int count = 0;
    return Fifo(path("fifo" + std::to_string(++count)));
}

std::string Sandbox::fixture(const std::string& name) {
    return Programs::here().fixtures() + "/" + name;
}

std::string Sandbox::program() {
    return Programs::here().programs() + "/cancelable";
}

std::string Sandbox::shim() {
    return Programs::here().programs() + "/cancelable-shim";
}

std::string Sandbox::killable_program() {
    return Programs::here().killable() + "/cancelable";
}

std::string Sandbox::shim_of_version(const std::string& which) {
    return Programs::here().other_versions() + "/" + which + "/cancelable-shim";
}

void Sandbox::unset_environment(const std::string& name) {
    std::erase_if(environment_, [&](const std::string& entry) { return entry.starts_with(name + "="); });
}

void Sandbox::set_environment(const std::string& name, const std::string& value) {
    unset_environment(name);
    environment_.push_back(name + "=" + value);
}

SpawnOptions Sandbox::options() const {
    SpawnOptions options;
    options.environment = environment_;
    options.cwd = directory_;
    return options;
}

Finished Sandbox::run(const Words& arguments) {
    return run(arguments, options());
}

Finished Sandbox::run(const Words& arguments, const SpawnOptions& how) {
    return start(arguments, how).wait();
}

Child Sandbox::start(const Words& arguments) {
    return start(arguments, options());
}

Child Sandbox::start(const Words& arguments, const SpawnOptions& how) {
    Words command{program()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Child::spawn(command, how);
}

std::string Sandbox::detach(const Words& run_options, const Words& command) {
    Words arguments{"run", "--detach"};
    arguments.insert(arguments.end(), run_options.begin(), run_options.end());
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command.begin(), command.end());
    const Finished finished = run(arguments);
    if (finished.status != 0) throw std::runtime_error("run --detach failed: " + finished.err);
    return finished.out.substr(0, finished.out.find('\n'));
}

Json Sandbox::json(Words arguments) {
    const Finished finished = run(arguments);
    if (finished.status != 0) throw std::runtime_error(arguments[0] + " failed: " + finished.err);
    return Json::parse(finished.out);
}

Json Sandbox::list(Words selectors) {
    selectors.insert(selectors.begin(), {"list", "--json"});
    const Finished finished = run(selectors);
    if (finished.status == 1) return Json::array();
    if (finished.status != 0) throw std::runtime_error("list failed: " + finished.err);
    return Json::parse(finished.out);
}

std::string Sandbox::only_live_id() {
    Json operations;
    wait_until("one operation, which has begun", [&] {
        operations = list();
        return operations.size() == 1 && operations[0].at("status") != "pending";
    });
    return std::to_string(operations[0].at("id").get<unsigned long>());
}

pid_t Sandbox::command_of(const std::string& id) {
    Json pid;
    wait_until("the pid of a command", [&] { return !(pid = show(id).at("pid")).is_null(); });
    return pid;
}

std::optional<pid_t> Sandbox::supervisor() const {
    for (const pid_t pid : descendants(::getpid()))
        if (is_supervisor(pid)) return pid;
    return std::nullopt;
}

std::size_t Sandbox::supervisor_count() const {
    const auto all = descendants(::getpid());
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), is_supervisor));
}

std::vector<pid_t> Sandbox::shims() const {
    auto found = descendants(::getpid());
    std::erase_if(found, [](pid_t pid) { return program_of(pid) != "cancelable-shim" || is_idle_shim(pid); });
    return found;
}

std::vector<pid_t> Sandbox::idle_shims() const {
    auto found = descendants(::getpid());
    std::erase_if(found,
                  [](pid_t pid) { return program_of(pid) != "cancelable-shim" || !is_idle_shim(pid); });
    return found;
}

std::vector<pid_t> Sandbox::strangers() const {
    std::vector<pid_t> found = descendants(::getpid());
    std::erase_if(found, [](pid_t pid) {
        const std::string name = program_of(pid);
        return name.empty() || name == "cancelable" || name == "cancelable-shim";  // empty: gone meanwhile
    });
    return found;
}

bool Sandbox::keeps_history() {
    const std::string id = detach({"--no-log"}, {"true"});
    run({"wait", id});
    kill_supervisor();
    return run({"wait", id}).status == 0;
}

void Sandbox::kill_supervisor() {
    // Where several start at once, only one of them stays.
    const auto has_lock = [&](pid_t pid) {
        std::ifstream lock(runtime_directory() + "/lock");
        pid_t holder = 0;
        return !lock || (lock >> holder && pid == holder);
    };
    std::optional<pid_t> pid;
    wait_until("a supervisor", [&] { return (pid = supervisor()) && has_lock(*pid); });
    const Witness witness({*pid});
    witness.signal(SIGKILL);
    witness.wait_until_gone();
}

void Sandbox::wait_until_recorded() {
    wait_until("a history that has everything", [&] {
        const Json history = json({"supervisor", "status", "--json"}).at("history");
        return history.at("state") == "working" && history.at("waiting") == 0;
    });
}

void Sandbox::wait_until_held(const std::string& id) {
    wait_until("the cancelation to be held", [&] {
        const Json shielded = show(id).at("shielded");
        return !shielded.is_null() && !shielded.at("until").is_null();
    });
}

void Sandbox::stop_supervisor() {
    // What a killed one has left is adopted by the next, and then ended with the rest.
    if (!supervisor() && !shims().empty()) run({"list"});
    const auto pid = supervisor();
    if (!pid) return;
    const Witness witness({*pid});
    // One that starts does not listen yet; one that could not start, or has been idle for long enough, does
    // not any more, and is on its way out by itself.
    Finished stopped;
    for (const Deadline deadline(std::chrono::seconds(20)); !deadline.passed(); ::usleep(2000)) {
        stopped = run({"supervisor", "stop", "--cancel"});
        const bool is_away = stopped.err.find("no supervisor listens") != std::string::npos ||
                             stopped.err.find("was lost") != std::string::npos;
        if (!is_away || witness.all_gone()) break;
    }
    if (stopped.status != 0 && !witness.all_gone()) {
        CHECK_MESSAGE(false, "supervisor stop --cancel: " << stopped.err);
        witness.signal(SIGKILL);
    }
    witness.wait_until_gone();
}

void Sandbox::check_nothing_is_left() {
    // What is none of the project's own must be gone by now; a shim may still be on its way out of main().
    const auto strange = strangers();
    CHECK_MESSAGE(strange.empty(), "left behind:" << describe(strange));
    const Deadline deadline(std::chrono::seconds(strange.empty() ? 20 : 0));
    auto left = descendants(::getpid());
    while (!left.empty() && !deadline.passed()) {
        ::usleep(2000);
        left = descendants(::getpid());
    }
    CHECK_MESSAGE(left.empty(), "still there:" << describe(left));
    // Stopped first, so that none of them forks while the others are killed.
    for (const Deadline end(std::chrono::seconds(20)); !left.empty() && !end.passed();
         left = descendants(::getpid())) {
        for (const int number : {SIGSTOP, SIGKILL})
            Witness(left).signal(number);
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {
        }
    }
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

void Sandbox::check_sanitizers() {
    for (const auto& entry : fs::directory_iterator(directory_)) {
        if (!entry.path().filename().string().starts_with("sanitizer")) continue;
        std::ifstream file(entry.path());
        std::string report;
        for (std::string line; std::getline(file, line);)
            // What LeakSanitizer says of a process that is killed while it looks is no finding.
            if (!line.contains("Unable to get registers from thread")) report += line + '\n';
        CHECK_MESSAGE(report.empty(), report);
    }
}

void skip(const std::string& reason) {
    std::printf("SKIPPED: %s\n", reason.c_str());
    std::fflush(stdout);
}

}  // namespace cancelable::e2e
