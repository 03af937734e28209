#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/loop.h"
#include "engine/process/wall_time.h"
#include "engine/sources/blocking_calls.h"
#include "engine/sources/source.h"

namespace cancelable {

// What a look at a file's writing says; nothing is read of it.
struct FileState {
    WallTime written{};
    std::int64_t size = 0;
    friend bool operator==(const FileState&, const FileState&) = default;
};

// Since when nothing has been written, told from looks at the file.
//
// The file's own time is believed only as far as it lies between two looks, and where the wall clock was not
// set in between: so silence is never found where there was none.
class Silence {
public:
    using Clock = std::chrono::steady_clock;

    // How long it has lasted at least.
    std::chrono::milliseconds look(const std::optional<FileState>& state, Clock::time_point now,
                                   WallTime wall);

private:
    struct Last {
        FileState state;
        Clock::time_point at;
        std::chrono::microseconds clock_offset;
    };
    std::optional<Last> last_;
    Clock::time_point since_{};
};

// A level: nothing was written to the file for so long.
SourcePtr idle_source(Loop& loop, BlockingCalls& calls, std::string path, std::chrono::milliseconds duration);

}  // namespace cancelable
