#pragma once

#include <string>
#include <string_view>

#include "tests/e2e/child.h"
#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {

// A program on a real pseudo-terminal, as the leader of a session and its foreground group: what is typed
// reaches it as it would from a keyboard, Ctrl-C as the kernel's SIGINT.
class TerminalSession {
public:
    static constexpr std::string_view kCtrlC = "\x03";
    static constexpr std::string_view kCtrlBackslash = "\x1c";

    // `command` begins with the path of a program.
    TerminalSession(const Words& command, const SpawnOptions& how, unsigned short columns = 80);

    void type(std::string_view keys);

    // Everything on the screen so far, once it contains the text. Throws Impatient.
    const std::string& wait_for(std::string_view text);

    // The same for what comes behind that place on the screen; where the text begins.
    std::size_t wait_for(std::string_view text, std::size_t behind);

    // The process group that has the terminal.
    pid_t foreground_group() const;

    // The terminal goes away: the kernel sends SIGHUP.
    void hang_up() { master_.reset(); }

    // A window of another width, with the SIGWINCH that belongs to it.
    void resize(unsigned short columns);

    const Child& process() const { return child_; }

    // Until it has ended; `out` is what was on the screen.
    Finished wait();

private:
    void read_screen();

    UniqueFd master_;
    Child child_;
    std::string screen_;
};

}  // namespace cancelable::e2e
