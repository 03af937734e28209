#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/fd.h"
#include "tests/e2e/waiting.h"

namespace cancelable::e2e {

// How a process that the test started has ended, and what it wrote.
struct Finished {
    int status = 0;          // as a shell reports it: the exit code, or 128 + signal
    bool by_signal = false;  // true where a signal ended it, so that 143 can be told from exit(143)
    std::string out;
    std::string err;
};

struct SpawnOptions {
    // Descriptors for 0, 1 and 2. kDefault: /dev/null as stdin, and pipes that are collected for the others.
    static constexpr int kDefault = -1;
    static constexpr int kClosed = -2;
    std::array<int, 3> stdio{kDefault, kDefault, kDefault};
    std::vector<std::string> environment;  // all of it
    std::string cwd = "/";
    bool as_root = false;            // otherwise as the unprivileged user, where the test itself is root
    std::function<void()> in_child;  // the last thing before exec, as the user that it runs as
};

// The user that everything under test runs as: nobody where the tests run as root, else whoever runs them.
uid_t test_user();
gid_t test_group();

// Becomes that user for good; for children only.
void become_test_user();

// A process that the test started. Its destructor kills it: nothing outlives its test.
class Child {
public:
    static Child spawn(const std::vector<std::string>& command, const SpawnOptions& options);
    // Takes over a process that was forked already, with what may be read from it.
    Child(pid_t pid, UniqueFd out, UniqueFd err);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    int pidfd() const { return pidfd_.get(); }
    bool has_ended() const;
    void signal(int number) const;

    // Until it has ended; what it wrote is complete as far as it wrote it itself. Throws Impatient.
    Finished wait();

    // As wait(), and until nobody holds the other ends of its stdout and stderr any more.
    Finished wait_for_end_of_file();

    // Until its stdout so far contains the text, or has ended; returns all of it so far.
    const std::string& wait_for_output(std::string_view text);

    // The same for its stderr.
    const std::string& wait_for_error(std::string_view text);

    // The reading end of its stdout, for tests that read or close it themselves.
    UniqueFd take_out() { return std::move(out_); }

private:
    // Reads what is there; true while the pipe is open.
    static bool drain(UniqueFd& from, std::string& into);
    void pump(const std::function<bool()>& enough, bool watch_process);
    Finished reap();

    pid_t pid_ = -1;
    UniqueFd pidfd_;
    UniqueFd out_;
    UniqueFd err_;
    std::string out_text_;
    std::string err_text_;
};

}  // namespace cancelable::e2e
