#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/process/fd.h"
#include "tests/e2e/child.h"
#include "tests/e2e/process_tree.h"

namespace doctest {

// So that a failed comparison says which processes there were.
template <>
struct StringMaker<std::vector<pid_t>> {
    static String convert(const std::vector<pid_t>& processes);
};

}  // namespace doctest

namespace cancelable::e2e {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

// A FIFO between the test and a fixture; see tests/fixtures/fixture.h.
class Fifo {
public:
    explicit Fifo(std::string path);
    const std::string& path() const { return path_; }

    // The next line, without its end. Throws Impatient.
    std::string wait_for_line();

    // The next line, or nothing where that process ends first.
    std::optional<std::string> wait_for_line_unless_ended(const Child& process);

    // Lets a fixture that waits for it go on.
    void go();

private:
    std::optional<std::string> next_line(int ended_fd);

    std::string path_;
    UniqueFd fd_;
    std::string pending_;
};

// One test's world: directories of its own, the programs under test as an unprivileged user, and a guard.
//
// The test process is a child subreaper, so whatever a test has started stays among its descendants, wherever
// it hides. The destructor stops the supervisor; what is alive after that fails the test, and is killed.
class Sandbox {
public:
    Sandbox();
    ~Sandbox();
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    // A name inside the sandbox, as an absolute path.
    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    std::string runtime_directory() const { return path("run/cancelable"); }
    std::string socket() const { return path("run/cancelable/socket"); }

    // Creates a directory or a file that belongs to the test user.
    std::string make_directory(const std::string& name, unsigned mode = 0700);
    std::string write_file(const std::string& name, const std::string& text, unsigned mode = 0600);
    Fifo fifo();
    static std::string fixture(const std::string& name);
    static std::string program();
    static std::string shim();
    static std::string killable_program();                         // see tests/killable
    static std::string shim_of_version(const std::string& which);  // earlier, later: see tests/other_versions

    // What the programs run with; a test may change it before it starts them.
    void set_environment(const std::string& name, const std::string& value);
    void unset_environment(const std::string& name);
    SpawnOptions options() const;

    // `cancelable ARGUMENTS…`, to its end, or in the background.
    Finished run(const Words& arguments);
    Finished run(const Words& arguments, const SpawnOptions& how);
    Child start(const Words& arguments);
    Child start(const Words& arguments, const SpawnOptions& how);

    // `run --detach OPTIONS… -- COMMAND…`: the id, once the command runs or has failed to. Throws where it is
    // refused.
    std::string detach(const Words& run_options, const Words& command);

    // What a verb prints with --json. Throws where it fails or prints something else.
    Json json(Words arguments);
    Json show(const std::string& id) { return json({"show", id, "--json"}); }

    // Those that `list --json SELECTORS…` lists; none where it says that nothing matches.
    Json list(Words selectors = {});
    std::string only_live_id();  // once it has begun

    // The pid of its command, once that is known: the command may run before its shim has been heard.
    pid_t command_of(const std::string& id);

    // From the processes themselves, not from what the programs say.
    std::optional<pid_t> supervisor() const;
    std::size_t supervisor_count() const;
    std::vector<pid_t> shims() const;       // that guard something
    std::vector<pid_t> idle_shims() const;  // that wait for the next operation
    std::vector<pid_t> strangers() const;   // whatever was started and is none of the project's programs
    Witness tree() const { return Witness(strangers()); }

    // SIGKILL to the one that has the lock, and until it is dead. Waits for it: commands that are under way
    // may do without for a while.
    void kill_supervisor();
    // Until its history has everything that has ended.
    void wait_until_recorded();
    // Until a shield holds back its cancelation.
    void wait_until_held(const std::string& id);

    // True where a supervisor knows what ended under the one before it.
    bool keeps_history();

private:
    void stop_supervisor();
    void check_nothing_is_left();
    void check_sanitizers();

    std::string directory_;
    Words environment_;
};

// Marks the test as skipped, with the reason, for ctest. The test returns after it.
void skip(const std::string& reason);

}  // namespace cancelable::e2e
