#pragma once

#include <span>
#include <string>

namespace cancelable {

// What a process list shows of a shim: "cancelable-shim 12 sleep". The place is that of the arguments which
// the process was started with, so a launcher that wants room for longer ones passes empty words along.
class Title {
public:
    Title(int argc, char** argv) noexcept;

    // Cut where there is no more room. Each word is one argument.
    void set(const std::string& id, const std::string& name) noexcept;

private:
    std::span<char> words_;  // behind the program's own name
};

}  // namespace cancelable
