#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace cancelable::cli {

// The supervisor's own log: a file that is rotated at 1 MiB, three of them at most, and stderr where somebody
// sits there. A line that cannot be written is dropped: no log is worth an operation.
//
// Any thread may write. A line that is written in the context of an operation starts with it.
class SupervisorLog {
public:
    // `path` empty: no file. Where the file cannot be opened the log goes on without it.
    SupervisorLog(const std::string& path, bool also_stderr);
    ~SupervisorLog();
    SupervisorLog(const SupervisorLog&) = delete;
    SupervisorLog& operator=(const SupervisorLog&) = delete;

    void info(std::string_view sentence);
    void info(std::span<const std::string> sentences);  // written at once
    void warn(std::string_view sentence);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cancelable::cli
